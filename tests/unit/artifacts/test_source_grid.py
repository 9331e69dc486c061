"""Labels return to the CT's own grid, voxel for voxel, whatever way the CT runs."""

from __future__ import annotations

import numpy as np
import pytest

from service.artifacts.source_grid import on_source_grid
from service.domain.geometry import AxisOrder, Box, VolumeGeometry
from service.errors import GeometryError

# Columns of the affine: steps along column, row and slice index in LPS mm.
ORIENTATIONS = {
    "axial, head first": [(1, 0, 0), (0, 1, 0), (0, 0, 3)],
    "axial, feet first supine": [(-1, 0, 0), (0, 1, 0), (0, 0, -3)],
    "axial, feet first prone": [(1, 0, 0), (0, -1, 0), (0, 0, -3)],
    "axial, head first prone": [(-1, 0, 0), (0, -1, 0), (0, 0, 3)],
    "coronal": [(1, 0, 0), (0, 0, -1), (0, 3, 0)],
    "sagittal": [(0, 1, 0), (0, 0, -1), (-3, 0, 0)],
    "axial, 20 degrees oblique": [(0.94, 0.342, 0), (-0.342, 0.94, 0), (0, 0, 3)],
}
SHAPE = (7, 9, 11)


def geometry(steps: list[tuple[float, float, float]]) -> VolumeGeometry:
    affine = np.eye(4)
    affine[:3, :3] = np.array(steps, dtype=float).T
    affine[:3, 3] = (12.0, -34.0, 56.0)
    return VolumeGeometry(SHAPE, affine)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_marked_corner_lands_on_the_source_voxel_at_the_same_place_in_the_patient(
    name: str,
) -> None:
    source = geometry(ORIENTATIONS[name])
    order = AxisOrder.closest_to_spl(source)
    turned = order.apply_geometry(source)
    box = Box((1, 2, 3), (4, 6, 7))
    values = np.zeros(box.shape_zyx, dtype=np.uint8)
    values[0, 0, 0] = 4

    full = on_source_grid(values, box, order, source)

    (voxel,) = np.argwhere(full)
    assert full[tuple(voxel)] == 4
    np.testing.assert_allclose(source.index_to_lps(voxel), turned.index_to_lps(box.start_zyx))


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_box_cut_from_the_turned_result_is_the_crop_again(name: str) -> None:
    source = geometry(ORIENTATIONS[name])
    order = AxisOrder.closest_to_spl(source)
    box = Box((1, 2, 3), (4, 6, 7))
    values = np.arange(48, dtype=np.uint8).reshape(box.shape_zyx)

    full = on_source_grid(values, box, order, source)

    assert full.shape == SHAPE
    assert full.flags.c_contiguous
    np.testing.assert_array_equal(order.apply(full)[box.slices], values)
    assert full.sum() == values.sum()


def test_labels_of_another_shape_than_the_box_are_refused() -> None:
    source = geometry(ORIENTATIONS["coronal"])
    with pytest.raises(GeometryError, match="do not fit"):
        on_source_grid(
            np.zeros((1, 1, 1), dtype=np.uint8),
            Box((0, 0, 0), (2, 2, 2)),
            AxisOrder.closest_to_spl(source),
            source,
        )


def test_a_box_beyond_the_turned_volume_is_refused() -> None:
    source = geometry(ORIENTATIONS["axial, head first"])
    with pytest.raises(GeometryError, match="do not fit"):
        on_source_grid(
            np.zeros((8, 1, 1), dtype=np.uint8),
            Box((0, 0, 0), (8, 1, 1)),
            AxisOrder.closest_to_spl(source),
            source,
        )
