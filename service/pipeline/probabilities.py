"""Crop + network -> probability map, by a sliding window (paper, section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import NamedTuple

import numpy as np

from service.domain.geometry import Box
from service.domain.imaging import CroppedVolume, ProbabilityMap
from service.domain.model_contract import ModelContract
from service.domain.ports import PatchPredictor
from service.pipeline.windows import (
    blend_weights,
    placed_windows,
    window_side,
    window_starts,
)

IN_PLANE_OVERLAP = 0.25
"""Neighbours in y and x share at least this part of the largest window, 48 voxels of 192."""

DEEP_OVERLAP = 16
"""Slices that deep windows share at least."""

DEEP_WINDOW_VOXELS = 4_000_000
"""Most voxels of a deep window: about 1 GiB of working memory, 112 slices of 192 x 176."""

SHAPE_VOXELS = 500_000
"""What each shape of window costs besides, in voxels: about 0.3 s to compile it and to take its
working memory (docs/benchmarks.md)."""

NARROWEST = 96
"""Voxels in y and x that a window spans at least where the crop does: the networks were trained on
patches as wide."""

MARKED = 0.5
"""Where no voxel's probability is above, there is no femur; Otsu's method presumes the same."""


class _Row(NamedTuple):
    """A row of windows: its slices in the padded crop, and the part of the crop to be covered."""

    start: int
    depth: int
    part: Box


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

    @property
    def largest_voxels(self) -> int:
        """Of its largest window."""
        return max(math.prod(box.shape_zyx) for box in self.boxes)


def plan_windows(crop: CroppedVolume, contract: ModelContract, stride_z: int | None) -> WindowPlan:
    """Lay windows over a crop.

    Rows of windows, one above the other, are only as wide as the crop's pieces that they meet, in
    up to two sizes of window: one below some slice, one from there on.

    Args:
        crop: on the contract's grid.
        contract: gives the paper's window and the multiple that a window's sides must be of.
        stride_z: slices between rows as deep as the contract's window; 1 is the paper's scheme,
            each row as wide as the crop. None: rows as deep as ``DEEP_WINDOW_VOXELS`` allow, that
            share ``DEEP_OVERLAP`` slices.

    Returns:
        The plan that costs least.
    """
    least = contract.window_zyx[0]
    if stride_z is not None:
        return min(_plans(crop, contract, least, stride_z), key=lambda plan: plan.cost_voxels)
    deepest = max(least, crop.geometry.shape_zyx[0] + contract.size_multiple - 1)
    plans = [
        plan
        for depth in range(least, deepest + 1, contract.size_multiple)
        for plan in _plans(crop, contract, depth, max(1, depth - DEEP_OVERLAP))
        if depth == least or plan.largest_voxels <= DEEP_WINDOW_VOXELS
    ]
    return min(plans, key=lambda plan: plan.cost_voxels)


def probability_map(
    crop: CroppedVolume,
    predictor: PatchPredictor,
    stride_z: int | None,
    after_window: Callable[[], None],
) -> ProbabilityMap:
    """Run one network over a crop and average overlapping windows.

    Args:
        crop: HU on the contract's grid; where it is smaller than a window it is padded evenly on
            both sides with its outermost voxels: bone that its end cuts does not end there.
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
    ends = zip(inner.start_zyx, plan.padded_zyx, inner.stop_zyx, strict=True)
    hu = np.pad(crop.hu, [(before, n - stop) for before, n, stop in ends], mode="edge")
    total = np.zeros_like(hu)
    weight_sum = np.zeros_like(hu)
    for start, windows in groupby(plan.boxes, key=lambda box: box.start_zyx[0]):
        below = start < plan.always_below
        # from the slice below: rows a window apart share none
        reached = slice(max(0, start - 1), None)
        needed = below or (total[reached] > MARKED * weight_sum[reached]).any()
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


def _plans(
    crop: CroppedVolume, contract: ModelContract, depth: int, stride_z: int
) -> Iterator[WindowPlan]:
    """Rows of one depth: all windows of one size, then of another from each row on."""
    length = max(crop.geometry.shape_zyx[0], depth)
    starts = window_starts(length, depth, stride_z)
    whole = Box((0, 0, 0), crop.geometry.shape_zyx)
    pieces = () if stride_z == 1 else crop.pieces
    before = (length - crop.geometry.shape_zyx[0]) // 2
    parts = [_part(pieces, start - before, depth) or whole for start in starts]
    rows = [_Row(start, depth, part) for start, part in zip(starts, parts, strict=True)]
    # what lies above the shaft needs some of it below to be reached from
    last_from = pieces[-1].start_zyx[0] + before if len(pieces) > 1 else length
    for split in range(len(rows) if pieces else 1):
        yield _plan((rows[:split], rows[split:]), crop, contract, last_from)


def _part(pieces: Sequence[Box], start: int, depth: int) -> Box | None:
    """The smallest box around the pieces that some slices meet; None where there is none."""
    met = [p for p in pieces if p.start_zyx[0] < start + depth and start < p.stop_zyx[0]]
    if not met:
        return None
    low, high = [p.start_zyx for p in met], [p.stop_zyx for p in met]
    (z, y, x), (top, back, left) = np.min(low, axis=0), np.max(high, axis=0)
    return Box((int(z), int(y), int(x)), (int(top), int(back), int(left)))


def _plan(
    groups: Sequence[Sequence[_Row]], crop: CroppedVolume, contract: ModelContract, last_from: int
) -> WindowPlan:
    """Windows over groups of rows, of one size in each group."""
    axes = [_sides_and_strides(group, crop, contract) for group in groups if group]
    shape = crop.geometry.shape_zyx
    z = max(shape[0], groups[-1][-1].depth)
    y, x = (max(n, *(group[a][0] for group in axes)) for a, n in enumerate(shape[1:]))
    padding = ((z - shape[0]) // 2, (y - shape[1]) // 2, (x - shape[2]) // 2)
    boxes = tuple(
        box
        for group, sides in zip(filter(None, groups), axes, strict=True)
        for row in group
        for box in _boxes(row, sides, padding, (z, y, x))
    )
    return WindowPlan(boxes, padding, (z, y, x), last_from)


def _boxes(
    row: _Row,
    sides_and_strides: Sequence[tuple[int, int]],
    padding: tuple[int, int, int],
    padded: tuple[int, int, int],
) -> list[Box]:
    """The windows of one row."""
    start, depth, part = row
    ys, xs = (
        placed_windows(
            (part.start_zyx[a] + padding[a], part.stop_zyx[a] + padding[a]), padded[a], *s
        )
        for a, s in enumerate(sides_and_strides, start=1)
    )
    height, width = (side for side, _ in sides_and_strides)
    return [Box((start, y, x), (start + depth, y + height, x + width)) for y, x in product(ys, xs)]


def _sides_and_strides(
    rows: Sequence[_Row], crop: CroppedVolume, contract: ModelContract
) -> list[tuple[int, int]]:
    """For y and x: side of the windows of some rows, and most voxels between two of them."""
    widest = np.max([row.part.shape_zyx[1:] for row in rows], axis=0)
    least = np.minimum(crop.geometry.shape_zyx[1:], NARROWEST)
    return [
        window_side(int(n), largest, round(IN_PLANE_OVERLAP * largest), contract.size_multiple)
        for n, largest in zip(np.maximum(widest, least), contract.window_zyx[1:], strict=True)
    ]
