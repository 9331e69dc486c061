"""Voxels of a crop back on the grid of the CT they were read from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.domain.geometry import AxisOrder, Box, VolumeGeometry
from service.errors import GeometryError

ByteArray = npt.NDArray[np.uint8]


def on_source_grid(
    values: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    box: Box,
    axis_order: AxisOrder,
    source: VolumeGeometry,
) -> ByteArray:
    """A crop's labels in a whole volume of the CT's own shape and axis order.

    Exact: voxels are written through a turned view of the result, nothing is resampled.

    Args:
        values: bool or uint8 ``[z, y, x]`` of ``box.shape_zyx``, axes along S, P, L.
        box: where they lie in the turned volume.
        axis_order: how the source was turned.
        source: the CT's grid.

    Returns:
        uint8 ``[z, y, x]`` of ``source.shape_zyx``, 0 outside the box; C-contiguous.

    Raises:
        GeometryError: if the values do not fill the box, or the box leaves the turned volume.
    """
    full = np.zeros(source.shape_zyx, dtype=np.uint8)
    turned = axis_order.apply(full)
    z, y, x = turned.shape
    if values.shape != box.shape_zyx or not box.within((z, y, x)):
        raise GeometryError(
            f"labels of shape {values.shape} for a box from {box.start_zyx} to {box.stop_zyx} "
            f"do not fit a turned volume of {turned.shape}"
        )
    turned[box.slices] = values
    return full
