import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.pipeline.cortical_thickness import ThicknessMap, thickness_map
from service.pipeline.left_femur import LeftFemur
from tests.builders.femur_shapes import grid_points, sphere
from tests.builders.hollow_bones import hollow_cylinder, hollow_sphere, of_solids

OBLIQUE = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])
ONE = SpacingMm(1, 1, 1)


def mean(local: ThicknessMap) -> float:
    return float(np.average(local.thickness_mm, weights=local.areas_mm2))


def mapped(femur: LeftFemur) -> ThicknessMap:
    local = thickness_map(femur)
    assert local is not None
    return local


@pytest.mark.parametrize("inner_mm", [21.2, 20.0, 16.0])
@pytest.mark.parametrize("spacing", [ONE, SpacingMm(1.0, 0.8, 0.8)])
def test_a_shell_is_as_thick_as_its_radii_differ_even_below_a_voxel(
    spacing: SpacingMm, inner_mm: float
) -> None:
    local = mapped(hollow_sphere(22.0, inner_mm, spacing))
    assert mean(local) == pytest.approx(22.0 - inner_mm, abs=0.06)
    assert local.areas_mm2.sum() == pytest.approx(4 * np.pi * 22.0**2, rel=0.01)


@pytest.mark.parametrize("inner_mm", [13.0, 12.0, 8.0])
def test_an_oblique_tube_is_as_thick_as_its_radii_differ(inner_mm: float) -> None:
    local = mapped(hollow_cylinder(14.0, inner_mm, OBLIQUE, SpacingMm(1.0, 0.8, 0.8)))
    assert mean(local) == pytest.approx(14.0 - inner_mm, abs=0.05)


def test_an_eccentric_canal_leaves_thick_and_thin_sides() -> None:
    femur = hollow_cylinder(14.0, 11.0, np.array([0.0, 0.0, 1.0]), ONE, canal_mm=(0.0, 2.0, 0.0))
    local = mapped(femur)
    x, y, _ = local.points_mm.T
    thin, thick = (y > 13) & (abs(x) < 4), (y < -13) & (abs(x) < 4)
    assert local.thickness_mm[thin].mean() == pytest.approx(1.0, abs=0.15)
    assert local.thickness_mm[thick].mean() == pytest.approx(5.0, abs=0.15)


def test_thickness_in_voxels_follows_the_surfaces_direction() -> None:
    local = mapped(hollow_sphere(22.0, 16.0, SpacingMm(2.0, 1.0, 1.0)))
    _, y, z = abs(local.points_mm).T
    assert np.median(local.thickness_voxels[z > 20.0]) == pytest.approx(3.0, abs=0.15)
    assert np.median(local.thickness_voxels[y > 21.0]) == pytest.approx(6.0, abs=0.25)


def test_voxel_steps_do_not_pass_for_thin_places() -> None:
    local = mapped(hollow_sphere(22.0, 20.0, ONE))
    assert np.quantile(local.thickness_mm, 0.05) == pytest.approx(2.0, abs=0.2)


def test_every_point_belongs_to_the_region_under_it() -> None:
    local = mapped(hollow_sphere(22.0, 20.0, ONE))
    assert (local.regions == FemurRegion.HEAD).mean() > 0.999


def test_where_the_surfaces_meet_the_thickness_is_nought() -> None:
    grid = VolumeGeometry.axis_aligned((41, 41, 41), ONE, (-20.0, -20.0, -20.0))
    ball = sphere(grid_points(grid), (0, 0, 0), 15.0)
    local = mapped(of_solids(ball, ball, grid, FemurRegion.HEAD))
    assert local.thickness_mm.max() == pytest.approx(0.0, abs=1e-6)


def test_without_an_endosteal_surface_there_is_no_thickness() -> None:
    assert thickness_map(hollow_sphere(12.0, -1.0, ONE)) is None
