import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.pipeline.distance_field import canonical_mask, distance_field
from tests.builders.femur_shapes import grid_points, sphere

RADIUS = 15.0


def ball(spacing: SpacingMm, top_mm: float = 20.0) -> tuple[np.ndarray, VolumeGeometry]:
    """A ball about the origin on a grid that may end within it."""
    shape = (int((top_mm + 20) / spacing.z), int(40 / spacing.y), int(40 / spacing.x))
    grid = VolumeGeometry.axis_aligned(shape, spacing, (-20.0, -20.0, -20.0))
    return sphere(grid_points(grid), (0, 0, 0), RADIUS) > 0, grid


@pytest.mark.parametrize(
    "spacing", [SpacingMm(1, 1, 1), SpacingMm(0.5, 0.4, 0.4), SpacingMm(2.0, 0.8, 0.8)]
)
def test_distance_is_in_mm_and_positive_inside(spacing: SpacingMm) -> None:
    field = distance_field(canonical_mask(*ball(spacing)))
    points = np.array([[RADIUS - 8, 0, 0], [0, 0, RADIUS - 5], [0, RADIUS, 0], [RADIUS + 1, 0, 0]])
    np.testing.assert_allclose(field.sample(points), [8, 5, 0, -1], atol=0.7)


def test_the_surface_has_the_balls_area_and_outward_normals() -> None:
    surface = distance_field(canonical_mask(*ball(SpacingMm(1, 1, 1)))).surface()
    assert surface.areas_mm2.sum() == pytest.approx(4 * np.pi * RADIUS**2, rel=0.02)
    outward = surface.points_mm / np.linalg.norm(surface.points_mm, axis=1, keepdims=True)
    assert np.min((outward * surface.normals).sum(axis=1)) > 0.9
    np.testing.assert_allclose(np.linalg.norm(surface.points_mm, axis=1), RADIUS, atol=0.6)


def test_an_oblique_rod_of_many_slices_has_one_smooth_surface() -> None:
    grid = VolumeGeometry.axis_aligned((90, 60, 70), SpacingMm(1, 1, 1), (-35.0, -30.0, -45.0))
    axis = np.array([0.4, 0.3, 1.0]) / np.sqrt(1.25)
    points = grid_points(grid)
    across = np.linalg.norm(points - (points @ axis)[..., None] * axis, axis=-1)
    surface = distance_field(canonical_mask(across < 8.0, grid)).surface()
    outward = surface.points_mm - np.outer(surface.points_mm @ axis, axis)
    away = np.linalg.norm(outward, axis=1)
    np.testing.assert_allclose(away, 8.0, atol=0.6)
    assert np.min((outward * surface.normals).sum(axis=1) / away) > 0.9
    length = 90 / axis[2]
    assert surface.areas_mm2.sum() == pytest.approx(2 * np.pi * 8.0 * length, rel=0.03)


def test_a_cut_face_is_no_surface() -> None:
    surface = distance_field(canonical_mask(*ball(SpacingMm(1, 1, 1), top_mm=0.5))).surface()
    assert surface.areas_mm2.sum() == pytest.approx(2 * np.pi * RADIUS**2, rel=0.05)


def test_bone_at_the_border_goes_on_beyond_it() -> None:
    field = distance_field(canonical_mask(*ball(SpacingMm(1, 1, 1), top_mm=0.5)))
    beyond = np.array([[0.0, 0.0, 5.0]])
    assert field.sample(beyond)[0] > 0
    assert not field.contains(beyond)[0]
    assert field.contains(np.array([[0.0, 0.0, -2.0]]))[0]


def test_a_plane_is_sampled_as_its_points_are() -> None:
    field = distance_field(canonical_mask(*ball(SpacingMm(1, 1, 1))))
    u, v = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, 1.0])
    offsets = np.array([-3.0, 0.0, 4.5])
    centre = np.array([1.0, 2.0, 3.0])
    points = centre + offsets[:, None, None] * u + offsets[None, :, None] * v
    values, seen = field.sample_plane(centre, u, v, offsets)
    np.testing.assert_allclose(values, field.sample(points), atol=1e-9)
    assert seen.all()


def test_every_turn_of_an_array_gives_the_same_canonical_mask() -> None:
    mask, grid = ball(SpacingMm(2.0, 1, 1))
    mask[:, :12] = False
    affine = grid.affine_lps.copy()
    affine[:3, 3] = grid.index_to_lps((grid.shape_zyx[0] - 1, 0, 0))
    affine[:3, 2] *= -1
    upright = canonical_mask(mask, grid)
    flipped = canonical_mask(mask[::-1], VolumeGeometry(grid.shape_zyx, affine))
    np.testing.assert_array_equal(flipped.inside, upright.inside)
    np.testing.assert_allclose(flipped.geometry.affine_lps, upright.geometry.affine_lps)
    placed = np.zeros(mask.shape, dtype=bool)
    placed[upright.box.slices] = upright.inside
    np.testing.assert_array_equal(upright.order.invert(placed), mask)
