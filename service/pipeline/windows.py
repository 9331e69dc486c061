"""Where the sliding window stops, and how overlapping windows are blended: arithmetic only."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from service.domain.geometry import Box

IN_PLANE_OVERLAP = 0.25
"""Neighbours in y and x share at least this part of the largest window, 48 voxels of 192."""


def window_starts(length: int, window: int, stride: int) -> tuple[int, ...]:
    """First index of each window along one axis.

    Args:
        length: voxels along the axis, at least ``window`` (pad before).
        window: voxels a window spans.
        stride: most steps between windows, 1 to ``window``; 1 gives the paper's S - 64 + 1 windows.

    Returns:
        Ascending starts from 0 to ``length - window``, as few and as evenly spread as can be.

    Raises:
        ValueError: if ``length`` is below ``window``, or windows would not meet.
    """
    if length < window or not 1 <= stride <= window:
        raise ValueError(
            f"length {length} must be >= window {window}, stride {stride} must be 1 to {window}"
        )
    last = length - window
    steps = -(-last // stride)
    return (*(round(n * last / steps) for n in range(steps)), last)


def window_side(length: int, largest: int, multiple: int) -> tuple[int, int]:
    """How wide windows along y or x are, and their stride.

    Args:
        length: voxels of the crop.
        largest: window side.
        multiple: that a window's side must be of; ``largest`` is.

    Returns:
        The smallest side with which as few windows as ``largest`` needs cover the crop, and the
        most voxels between two of them.
    """
    overlap = round(IN_PLANE_OVERLAP * largest)
    count = max(1, -(-(length - overlap) // (largest - overlap)))
    side = -(-(length + (count - 1) * overlap) // count)
    side = multiple * -(-side // multiple)
    return side, max(1, side - overlap)


def window_boxes(
    shape_zyx: tuple[int, int, int],
    window_zyx: tuple[int, int, int],
    stride_zyx: tuple[int, int, int],
) -> tuple[Box, ...]:
    """Every window over a volume, z fastest last (slices advance slowest).

    Args:
        shape_zyx: of the padded volume, each side at least the window's.
        window_zyx: of a window.
        stride_zyx: most voxels between two windows.
    """
    starts = (
        window_starts(n, w, s) for n, w, s in zip(shape_zyx, window_zyx, stride_zyx, strict=True)
    )
    return tuple(
        Box((z, y, x), (z + window_zyx[0], y + window_zyx[1], x + window_zyx[2]))
        for z, y, x in product(*starts)
    )


def blend_weights(window_zyx: tuple[int, int, int], stride_z: int) -> npt.NDArray[np.float32]:
    """How much each voxel of a window counts where windows overlap.

    At stride 1 all count alike along z, as in the paper's average (section 2.3). At larger strides,
    and always in y and x, weight falls linearly from the window's middle to its faces, where a
    convolution sees padding instead of anatomy.

    Returns:
        float32 of the window's shape, all above 0.
    """
    z, y, x = (np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) / (n / 2) for n in window_zyx)
    if stride_z == 1:
        z = np.ones_like(z)
    weights: npt.NDArray[np.float32] = (
        z[:, None, None] * y[None, :, None] * x[None, None, :]
    ).astype(np.float32)
    return weights
