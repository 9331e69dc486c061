"""Crop + network -> probability map, by a sliding window (paper, section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np

from service.domain.geometry import Box
from service.domain.imaging import CroppedVolume, ProbabilityMap
from service.domain.model_contract import ModelContract
from service.domain.ports import PatchPredictor
from service.pipeline.windows import blend_weights, placed_windows, window_side

IN_PLANE_OVERLAP = 0.25
"""Neighbours in y and x share at least this part of the largest window, 48 voxels of 192."""

SHAPE_VOXELS = 500_000
"""What each shape of window costs besides, in voxels: 0.3-0.4 s to compile it and to take its
working memory (docs/benchmarks.md)."""

MARKED = 0.5
"""Where no voxel's probability is above, there is no femur; Otsu's method presumes the same."""


@dataclass(frozen=True)
class WindowPlan:
    """The windows that cover one crop.

    Attributes:
        boxes: where each lies in the padded crop, from the lowest slices upward.
        padding_zyx: voxels before the crop's first.
        padded_zyx: the crop's shape, at least the largest window's along each axis.
        always_below: slices of the padded crop from which on a window is run only where the femur
            reaches into it from the slices below.
    """

    boxes: tuple[Box, ...]
    padding_zyx: tuple[int, int, int]
    padded_zyx: tuple[int, int, int]
    always_below: int

    @property
    def cost_voxels(self) -> int:
        """What running all of them costs, as voxels that go through the network."""
        shapes = [box.shape_zyx for box in self.boxes]
        return sum(math.prod(shape) for shape in shapes) + SHAPE_VOXELS * len(set(shapes))


def plan_windows(crop: CroppedVolume, contract: ModelContract, stride_z: int) -> WindowPlan:
    """Lay windows over a crop.

    Args:
        crop: on the contract's grid.
        contract: gives the paper's window and the multiple that a window's sides must be of.
        stride_z: slices between windows; 1 is the paper's scheme, over all of the crop. At larger
            strides windows are no wider along the shaft than it, where that costs less.
    """
    shape = crop.geometry.shape_zyx
    whole = _plan([Box((0, 0, 0), shape)], crop, contract, stride_z)
    if stride_z == 1 or crop.shaft is None:
        return whole
    parts = [crop.shaft]
    if crop.shaft.stop_zyx[0] < shape[0]:
        shared = contract.window_zyx[0] - stride_z
        parts.append(Box((max(0, crop.shaft.stop_zyx[0] - shared), 0, 0), shape))
    return min(whole, _plan(parts, crop, contract, stride_z), key=lambda plan: plan.cost_voxels)


def probability_map(
    crop: CroppedVolume,
    predictor: PatchPredictor,
    stride_z: int,
    after_window: Callable[[], None],
) -> ProbabilityMap:
    """Run one network over a crop and average overlapping windows.

    Args:
        crop: HU on the contract's grid; where it is smaller than a window it is padded with the
            contract's ``outside_hu``, evenly on both sides.
        predictor: the network.
        stride_z: see ``plan_windows``.
        after_window: called after each window, run or left out; may raise to stop.

    Returns:
        Probabilities on the crop's grid, 0 where no window was run.
    """
    fill = predictor.contract.outside_hu
    plan = plan_windows(crop, predictor.contract, stride_z)
    z, y, x = (p + n for p, n in zip(plan.padding_zyx, crop.hu.shape, strict=True))
    inner = Box(plan.padding_zyx, (z, y, x))
    hu = np.full(plan.padded_zyx, fill, dtype=np.float32)
    hu[inner.slices] = crop.hu
    total = np.zeros_like(hu)
    weight_sum = np.zeros_like(hu)
    for start, windows in groupby(plan.boxes, key=lambda box: box.start_zyx[0]):
        below = start < plan.always_below
        needed = below or (total[start:] > MARKED * weight_sum[start:]).any()
        for box in windows:
            if needed:
                window = np.ascontiguousarray(hu[box.slices])
                weights = blend_weights(box.shape_zyx, level=stride_z == 1)
                if (window != fill).any():
                    total[box.slices] += weights * predictor.predict(window)
                weight_sum[box.slices] += weights
            after_window()
    np.divide(total, weight_sum, out=total, where=weight_sum > 0)
    return ProbabilityMap(np.ascontiguousarray(total[inner.slices]), crop.geometry)


def _plan(
    parts: Sequence[Box], crop: CroppedVolume, contract: ModelContract, stride_z: int
) -> WindowPlan:
    """Windows over parts of a crop."""
    shape = crop.geometry.shape_zyx
    axes = [_sides_and_strides(part.shape_zyx, contract, stride_z) for part in parts]
    z, y, x = (max(n, *(part[a][0] for part in axes)) for a, n in enumerate(shape))
    padding = ((z - shape[0]) // 2, (y - shape[1]) // 2, (x - shape[2]) // 2)
    boxes = [
        box
        for part, sides in zip(parts, axes, strict=True)
        for box in _boxes(part, padding, (z, y, x), sides)
    ]
    shaft = None if stride_z == 1 else crop.shaft
    always_below = padding[0] + shaft.stop_zyx[0] if shaft else z
    boxes.sort(key=lambda box: box.start_zyx)
    return WindowPlan(tuple(boxes), padding, (z, y, x), always_below)


def _sides_and_strides(
    shape_zyx: tuple[int, int, int], contract: ModelContract, stride_z: int
) -> tuple[tuple[int, int], ...]:
    """For z, y and x: side of the windows over one part, and most voxels between two of them."""
    depth, *largest = contract.window_zyx
    multiple = contract.size_multiple
    y, x = (
        window_side(n, w, round(IN_PLANE_OVERLAP * w), multiple)
        for n, w in zip(shape_zyx[1:], largest, strict=True)
    )
    return (depth, stride_z), y, x


def _boxes(
    part: Box,
    padding: tuple[int, int, int],
    padded: tuple[int, int, int],
    axes: tuple[tuple[int, int], ...],
) -> list[Box]:
    """The windows over one part."""
    starts = [
        placed_windows((first + before, last + before), length, *side_and_stride)
        for first, last, before, length, side_and_stride in zip(
            part.start_zyx, part.stop_zyx, padding, padded, axes, strict=True
        )
    ]
    depth, height, width = (side for side, _ in axes)
    return [Box((z, y, x), (z + depth, y + height, x + width)) for z, y, x in product(*starts)]
