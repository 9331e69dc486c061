import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.pipeline.distance_field import DistanceField
from service.pipeline.sections import Section, axis_fit, perpendicular_axes, section, unit
from tests.builders.femur_shapes import cylinder, exact_field, grid_points

Z = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def rod() -> DistanceField:
    """A rod of 10 mm radius along z that goes on beyond both ends of the grid."""
    grid = VolumeGeometry.axis_aligned((60, 60, 60), SpacingMm(1, 1, 1), (-30, -30, -30))
    return exact_field(cylinder(grid_points(grid), (0, 0, 0), Z, 10.0), grid)


def test_a_cross_section_has_the_circles_area_and_centre(rod: DistanceField) -> None:
    cut = section(rod, np.array([3.0, -2.0, 5.0]), Z, 25.0)
    assert cut.area_mm2 == pytest.approx(np.pi * 100, rel=0.005)
    assert cut.centroid_mm == pytest.approx((0, 0, 5), abs=0.05)
    assert cut.complete


def test_an_oblique_section_is_an_ellipse(rod: DistanceField) -> None:
    normal = np.array([np.sin(np.deg2rad(45)), 0, np.cos(np.deg2rad(45))])
    cut = section(rod, np.zeros(3), normal, 25.0)
    assert cut.area_mm2 == pytest.approx(np.pi * 100 * np.sqrt(2), rel=0.005)


def test_a_section_that_leaves_the_scan_is_not_complete(rod: DistanceField) -> None:
    cut = section(rod, np.array([0.0, 0.0, 25.0]), unit(np.array([1.0, 0.0, 1.0])), 25.0)
    assert not cut.complete
    # what lies beyond the last voxels is not counted
    assert 0 < cut.area_mm2 < np.pi * 100 * np.sqrt(2)


def test_a_section_away_from_bone_is_empty(rod: DistanceField) -> None:
    cut = section(rod, np.array([20.0, 0.0, 0.0]), Z, 8.0)
    assert cut.area_mm2 == 0
    assert not cut.complete


def test_only_the_piece_around_the_point_counts() -> None:
    grid = VolumeGeometry.axis_aligned((10, 60, 80), SpacingMm(1, 1, 1), (-40, -30, -5))
    points = grid_points(grid)
    two = np.maximum(cylinder(points, (-15, 0, 0), Z, 10.0), cylinder(points, (15, 0, 0), Z, 8.0))
    cut = section(exact_field(two, grid), np.array([14.0, 0.0, 0.0]), Z, 35.0)
    assert cut.area_mm2 == pytest.approx(np.pi * 64, rel=0.005)


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 0, 0), (0.6, -0.8, 0), (1, 1, 1)])
def test_perpendicular_axes_make_a_right_handed_frame(normal: tuple[float, ...]) -> None:
    n = unit(np.array(normal, dtype=float))
    u, v = perpendicular_axes(n)
    np.testing.assert_allclose(np.cross(u, v), n, atol=1e-12)


def test_the_zero_vector_has_no_direction() -> None:
    np.testing.assert_array_equal(unit(np.zeros(3)), np.zeros(3))


def test_an_axis_is_borne_out_by_complete_sections_near_it() -> None:
    near = Section(100.0, np.array([1.0, 0.0, 5.0]), complete=True)
    far = Section(100.0, np.array([0.0, -2.0, 9.0]), complete=True)
    cut = Section(100.0, np.array([0.0, 0.0, 12.0]), complete=False)
    empty = Section(0.0, np.array([50.0, 0.0, 15.0]), complete=False)
    fit = axis_fit([near, far, cut, empty], np.zeros(3), np.array([0.0, 0.0, 1.0]))
    assert fit.residual_mm == pytest.approx(np.sqrt((1 + 4 + 0) / 3))
    assert fit.quality == 0.25
