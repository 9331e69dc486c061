import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.pipeline.distance_field import canonical_mask
from service.pipeline.surface_field import inner_field, surface_field
from tests.builders.femur_shapes import grid_points, sphere

RADIUS = 18.0


def ball(spacing: SpacingMm) -> tuple[np.ndarray, VolumeGeometry]:
    shape = (int(48 / spacing.z), int(48 / spacing.y), int(48 / spacing.x))
    grid = VolumeGeometry.axis_aligned(shape, spacing, (-23.6, -24.0, -23.8))
    return sphere(grid_points(grid), (0, 0, 0), RADIUS) > 0, grid


@pytest.mark.parametrize(
    "spacing", [SpacingMm(1, 1, 1), SpacingMm(0.4, 0.4, 0.4), SpacingMm(1.2, 0.7, 0.7)]
)
def test_the_surface_lies_within_a_tenth_of_a_voxel_in_the_mean(spacing: SpacingMm) -> None:
    surface = surface_field(canonical_mask(*ball(spacing))).surface()
    away = np.linalg.norm(surface.points_mm, axis=1) - RADIUS
    assert abs(np.average(away, weights=surface.areas_mm2)) < 0.1 * max(spacing)
    assert away.std() < 0.15 * max(spacing)
    assert surface.areas_mm2.sum() == pytest.approx(4 * np.pi * RADIUS**2, rel=0.02)


def test_values_are_mm_near_the_surface_and_flat_elsewhere() -> None:
    field = surface_field(canonical_mask(*ball(SpacingMm(1, 1, 1))))
    outwards = np.array([3.0, 5.0, 8.0]) / np.sqrt(98.0)
    points = np.array([RADIUS - 1, RADIUS, RADIUS + 1, 0])[:, None] * outwards
    np.testing.assert_allclose(field.sample(points), [1.0, 0.0, -1.0, 2.4], atol=0.3)


def test_a_mask_without_voxels_is_outside_everywhere() -> None:
    inside, grid = ball(SpacingMm(2, 2, 2))
    mask = canonical_mask(inside, grid)
    assert (inner_field(mask, np.zeros_like(mask.inside)).distance_mm < 0).all()
