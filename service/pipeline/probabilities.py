"""Crop + network -> probability map, by the sliding window of the paper (section 2.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from service.domain.geometry import Box
from service.domain.imaging import CroppedVolume, ProbabilityMap
from service.domain.model_contract import ModelContract
from service.domain.ports import PatchPredictor
from service.pipeline.windows import blend_weights, window_boxes, window_side


@dataclass(frozen=True)
class WindowPlan:
    """The windows that cover one crop.

    Attributes:
        window_zyx: as deep as the contract's, in y and x as narrow as its number of windows allows.
        padded_zyx: the crop's shape, at least one window along each axis.
        boxes: where each window lies in the padded crop.
    """

    window_zyx: tuple[int, int, int]
    padded_zyx: tuple[int, int, int]
    boxes: tuple[Box, ...]


def plan_windows(
    shape_zyx: tuple[int, int, int], contract: ModelContract, stride_z: int
) -> WindowPlan:
    """Lay windows over a crop.

    Args:
        shape_zyx: of the crop on the contract's grid.
        contract: gives the largest window and the multiple that its sides must be of.
        stride_z: slices between windows; 1 is the paper's scheme.
    """
    depth, *largest = contract.window_zyx
    (height, stride_y), (width, stride_x) = (
        window_side(n, w, contract.size_multiple)
        for n, w in zip(shape_zyx[1:], largest, strict=True)
    )
    window = (depth, height, width)
    z, y, x = (max(n, w) for n, w in zip(shape_zyx, window, strict=True))
    boxes = window_boxes((z, y, x), window, (stride_z, stride_y, stride_x))
    return WindowPlan(window, (z, y, x), boxes)


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
        stride_z: slices between windows; 1 is the paper's scheme.
        after_window: called after each window; may raise to stop.

    Returns:
        Probabilities on the crop's grid.
    """
    fill = predictor.contract.outside_hu
    plan = plan_windows(crop.geometry.shape_zyx, predictor.contract, stride_z)
    z, y, x = ((n - m) // 2 for n, m in zip(plan.padded_zyx, crop.hu.shape, strict=True))
    depth, height, width = crop.hu.shape
    inner = Box((z, y, x), (z + depth, y + height, x + width))
    hu = np.full(plan.padded_zyx, fill, dtype=np.float32)
    hu[inner.slices] = crop.hu
    total = np.zeros_like(hu)
    weight_sum = np.zeros_like(hu)
    weights = blend_weights(plan.window_zyx, stride_z)
    for box in plan.boxes:
        window = np.ascontiguousarray(hu[box.slices])
        if (window != fill).any():
            total[box.slices] += weights * predictor.predict(window)
        weight_sum[box.slices] += weights
        after_window()
    total /= weight_sum
    return ProbabilityMap(np.ascontiguousarray(total[inner.slices]), crop.geometry)
