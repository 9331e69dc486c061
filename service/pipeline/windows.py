"""Where the sliding window stops, and how overlapping windows are blended: arithmetic only."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from service.domain.geometry import Box

IN_PLANE_OVERLAP = 0.25
"""Share of a window that neighbours in y and x overlap where a crop is wider than one window."""


def window_starts(length: int, window: int, stride: int) -> tuple[int, ...]:
    """First index of each window along one axis.

    Args:
        length: voxels along the axis, at least ``window`` (pad before).
        window: voxels a window spans.
        stride: steps between windows, 1 to ``window``; 1 gives the paper's S - 64 + 1 windows.

    Returns:
        Ascending starts from 0; the last window ends at ``length``, its step shortened if need be.

    Raises:
        ValueError: if ``length`` is below ``window``, or windows would not meet.
    """
    if length < window or not 1 <= stride <= window:
        raise ValueError(
            f"length {length} must be >= window {window}, stride {stride} must be 1 to {window}"
        )
    starts = list(range(0, length - window + 1, stride))
    if starts[-1] + window < length:
        starts.append(length - window)
    return tuple(starts)


def window_boxes(
    shape_zyx: tuple[int, int, int], window_zyx: tuple[int, int, int], stride_z: int
) -> tuple[Box, ...]:
    """Every window over a volume, z fastest last (slices advance slowest).

    Args:
        shape_zyx: of the padded volume, each side at least the window's.
        window_zyx: of a window.
        stride_z: in slices; in y and x windows overlap by ``IN_PLANE_OVERLAP``.
    """
    in_plane = [max(1, round(w * (1 - IN_PLANE_OVERLAP))) for w in window_zyx[1:]]
    strides = (stride_z, *in_plane)
    starts = (
        window_starts(n, w, s) for n, w, s in zip(shape_zyx, window_zyx, strides, strict=True)
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
