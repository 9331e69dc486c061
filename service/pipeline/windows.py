"""Where the sliding window stops, and how overlapping windows are blended: arithmetic only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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


def window_side(length: int, largest: int, overlap: int, multiple: int) -> tuple[int, int]:
    """How long windows along one axis are, and their stride.

    Args:
        length: voxels to be covered.
        largest: side of a window.
        overlap: voxels that two windows share at least.
        multiple: that a window's side must be of; ``largest`` is.

    Returns:
        The smallest side with which as few windows as ``largest`` needs cover the length, and the
        most voxels between two of them.
    """
    count = max(1, -(-(length - overlap) // (largest - overlap)))
    side = -(-(length + (count - 1) * overlap) // count)
    side = multiple * -(-side // multiple)
    return side, max(1, side - overlap)


def placed_windows(part: tuple[int, int], length: int, side: int, stride: int) -> tuple[int, ...]:
    """First index of each window over a part of one axis.

    Args:
        part: first voxel of the part and the one past its last.
        length: voxels along the axis, at least ``side``.
        side: of a window.
        stride: most voxels between two windows.

    Returns:
        Ascending starts; a window longer than the part has its middle on the part's, as far as the
        axis allows.
    """
    start, stop = part
    if stop - start > side:
        return tuple(start + s for s in window_starts(stop - start, side, stride))
    return (min(max((start + stop - side) // 2, 0), length - side),)


def blend_weights(window_zyx: tuple[int, int, int], *, level: bool) -> npt.NDArray[np.float32]:
    """How much each voxel of a window counts where windows overlap.

    Weight falls linearly from the window's middle to its faces, where a convolution sees padding
    instead of anatomy.

    Args:
        window_zyx: of the window.
        level: all slices count alike, as in the paper's average (section 2.3).

    Returns:
        float32 of the window's shape, all above 0.
    """
    z, y, x = (np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) / (n / 2) for n in window_zyx)
    if level:
        z = np.ones_like(z)
    weights: npt.NDArray[np.float32] = (
        z[:, None, None] * y[None, :, None] * x[None, None, :]
    ).astype(np.float32)
    return weights
