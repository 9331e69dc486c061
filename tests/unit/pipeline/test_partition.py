import dataclasses

import numpy as np

from service.domain.geometry import AxisOrder, Box, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.pipeline.distance_field import CanonicalMask
from service.pipeline.partition import HalfSpace, RegionBounds, partition

X, Z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
GRID = VolumeGeometry.axis_aligned((10, 4, 30), SpacingMm(1, 1, 1))


def at(x: float, z: float) -> np.ndarray:
    return np.array([x, 1.0, z])


# a bar along x whose neck axis is x and whose shaft axis is z: head to 10, neck to 20
BOUNDS = RegionBounds(
    head_centre_mm=at(4, 7),
    neck_centre_mm=at(15, 7),
    lateral_of_head=HalfSpace(at(9.5, 0), X),
    lateral_of_neck=HalfSpace(at(19.5, 0), X),
    above_neck_axis=HalfSpace(at(15, 6.5), Z),
    above_distal=HalfSpace(at(0, 1.5), Z),
)


def bar() -> CanonicalMask:
    inside = np.zeros(GRID.shape_zyx, dtype=np.bool_)
    inside[6:9] = True
    inside[:, :, 20:] = True
    return CanonicalMask(
        inside, GRID, AxisOrder.closest_to_spl(GRID), Box((0, 0, 0), GRID.shape_zyx)
    )


def test_planes_divide_the_mask_above_the_distal_plane_without_remainder() -> None:
    mask = bar()
    labels = partition(mask, BOUNDS)
    assert (labels[6:9, :, :10] == FemurRegion.HEAD).all()
    assert (labels[6:9, :, 10:20] == FemurRegion.NECK).all()
    assert (labels[7:, :, 20:] == FemurRegion.TROCHANTER).all()
    assert (labels[2:7, :, 20:] == FemurRegion.INTERTROCHANTER).all()
    above = np.zeros_like(mask.inside)
    above[2:] = True
    np.testing.assert_array_equal(labels > 0, mask.inside & above)


def test_bone_that_overhangs_the_neck_is_trochanter_and_below_its_plane_intertrochanter() -> None:
    mask = bar()
    mask.inside[9, 3, 16:20] = True
    mask.inside[8, 3, 14:20] = False
    mask.inside[3, :, 16:20] = True
    labels = partition(mask, BOUNDS)
    assert (labels[9, 3, 16:20] == FemurRegion.TROCHANTER).all()
    assert (labels[3, :, 16:20] == FemurRegion.INTERTROCHANTER).all()
    assert (labels[7, :, 10:20] == FemurRegion.NECK).all()


def test_without_a_neck_end_only_the_head_is_labelled() -> None:
    labels = partition(bar(), dataclasses.replace(BOUNDS, lateral_of_neck=None))
    assert set(np.unique(labels)) == {0, FemurRegion.HEAD}


def test_without_a_shaft_axis_head_and_neck_are_labelled() -> None:
    bounds = dataclasses.replace(BOUNDS, above_neck_axis=None, above_distal=None)
    assert set(np.unique(partition(bar(), bounds))) == {0, FemurRegion.HEAD, FemurRegion.NECK}


def test_heights_are_distances_from_the_plane_on_any_grid() -> None:
    affine = np.array([[0, 0, 2.0, 5], [0, -0.5, 0, 1], [1.0, 0, 0, -3], [0, 0, 0, 1]])
    grid = VolumeGeometry((3, 4, 5), affine)
    normal = np.array([0.6, 0.0, 0.8])
    plane = HalfSpace(np.array([1.0, 1.0, 1.0]), normal)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_zyx), indexing="ij"), -1)
    expected = (grid.index_to_lps(index) - plane.point_mm) @ normal
    np.testing.assert_allclose(plane.height_mm(grid), expected, atol=1e-5)
