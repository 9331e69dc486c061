"""Bounds for computing a published network's convolutions on int8, put into its file.

A bound is where a tensor's values are cut off before they are rounded to 256 steps from 0: the one
with the least mean square error over windows of CT. Only what cannot be below 0 has one, and only
what 3x3x3 convolutions see. The rest stays in floating point: the scaled HU and the first stage's
sum, which carries them to the last; the head; and the transposed convolutions, 2 % of the work, of
which the last made over a third of the masks' difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from pydantic import ValidationError

from model_export.cases import CaseError, TrainingCase, load_case
from service.domain.model_contract import METADATA_KEY, ModelContract
from service.errors import ModelError

WINDOW_ZYX = (64, 128, 112)
"""Of calibration: as deep as the paper's, wide enough for a femur's proximal end."""

HEIGHTS = (0.25, 0.8)
"""Of the windows' middles, as a part of the femur in view: in the shaft, in the proximal end."""

STEPS_PER_UNIT = 4096
"""Of the histogram of a tensor's values: far finer than the steps of int8 up to any bound."""

KERNEL = [3, 3, 3]
"""Of the convolutions that may be on int8, (z, y, x)."""

LEVELS = 255
"""Steps between 0 and the bound."""

CANDIDATES = np.linspace(0.1, 1.0, 181)
"""Bounds that are tried, as parts of the largest value seen."""

Counts = npt.NDArray[np.int64]


def calibrate(path: Path, cases: Sequence[Path]) -> ModelContract:
    """Measure the bounds over windows of the cases and write them into the file's contract.

    Args:
        path: a published ONNX file; replaced in one step.
        cases: case files, as ``prepare`` writes them; none of those that results are reported on.

    Returns:
        The new contract.

    Raises:
        ModelError: the file is missing, is no ONNX, holds no contract, or has nothing to compute
            on int8; it is left as it was.
        CaseError: there is no case, or one cannot be read.
    """
    if not cases:
        raise CaseError("no case file to calibrate on; write some with `prepare` or `phantom`")
    model, contract = _opened(path)
    counts = _histograms(model, (window for case in cases for window in _windows(case, contract)))
    bounds = tuple(
        (name, round(best_bound(seen), 4)) for name, seen in counts.items() if seen.any()
    )
    if not bounds:
        raise ModelError(f"{path.name} has no 3x3x3 convolution whose input is never below 0")
    contract = contract.model_copy(update={"int8_bounds": bounds})
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.model_dump_json()})
    partial = path.with_suffix(".partial")
    try:
        onnx.save(model, str(partial))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return contract


def best_bound(counts: Counts) -> float:
    """The bound with the least mean square error of what it cuts off and rounds.

    Args:
        counts: how many values fell into each step of ``1 / STEPS_PER_UNIT`` from 0 on; not all 0.
    """
    values = (np.arange(counts.size) + 0.5) / STEPS_PER_UNIT
    bounds = CANDIDATES * counts.size / STEPS_PER_UNIT

    def error(bound: float) -> float:
        step = bound / LEVELS
        rounded = np.minimum(np.round(values / step), LEVELS) * step
        return float((counts * (values - rounded) ** 2).sum())

    return float(min(bounds, key=error))


def tensors_for_int8(graph: onnx.GraphProto) -> tuple[str, ...]:
    """What 3x3x3 convolutions see and cannot be below 0, concatenated tensors one by one."""
    made_by = {output: node for node in graph.node for output in node.output}

    def never_below_0(name: str) -> bool:
        node = made_by.get(name)
        if node is None or node.op_type not in ("Relu", "Add"):
            return False
        return node.op_type == "Relu" or all(map(never_below_0, node.input))

    names: dict[str, None] = {}
    for node in graph.node:
        kernel = {a.name: list(a.ints) for a in node.attribute}.get("kernel_shape")
        if node.op_type == "Conv" and kernel == KERNEL:
            source = made_by.get(node.input[0])
            joined = source if source is not None and source.op_type == "Concat" else None
            names.update(dict.fromkeys(joined.input if joined else node.input[:1]))
    return tuple(filter(never_below_0, names))


def _opened(path: Path) -> tuple[onnx.ModelProto, ModelContract]:
    """The file's graph and contract; raises ModelError."""
    try:
        model = onnx.load(str(path))
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} is missing or is no ONNX file") from error
    texts = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
    try:
        return model, ModelContract.model_validate_json(texts[0] if texts else "")
    except ValidationError as error:
        raise ModelError(
            f"{path.name} holds no contract of this femurct; calibrate what `export` wrote"
        ) from error


def _histograms(
    model: onnx.ModelProto, windows: Iterator[npt.NDArray[np.float32]]
) -> dict[str, Counts]:
    """How often each value above 0 occurs in each tensor that may be on int8."""
    names = tensors_for_int8(model.graph)
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        opened.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    counts: dict[str, Counts] = {name: np.zeros(1, np.int64) for name in names}
    for window in windows if names else ():
        for name, values in zip(names, session.run(list(names), {"hu": window}), strict=True):
            new = np.bincount((values[values > 0] * STEPS_PER_UNIT).astype(np.int64))
            longer = max(new.size, counts[name].size)
            counts[name] = _extended(counts[name], longer) + _extended(new, longer)
    return counts


def _extended(counts: Counts, size: int) -> Counts:
    return np.pad(counts, (0, size - counts.size))


def _windows(path: Path, contract: ModelContract) -> Iterator[npt.NDArray[np.float32]]:
    """Windows of one case, float32 ``[1, 1, z, y, x]``, as this network would see them."""
    case = load_case(path)
    hu = case.hu.astype(np.float32)
    if contract.role == "endosteal":
        hu[case.periosteal == 0] = contract.outside_hu
    for height in HEIGHTS:
        window = hu[_box(case, height)]
        short = [(0, n - m) for n, m in zip(WINDOW_ZYX, window.shape, strict=True)]
        yield np.pad(window, short, mode="edge")[None, None]


def _box(case: TrainingCase, height: float) -> tuple[slice, ...]:
    """Where a window lies whose middle is the femur's at some height."""
    slices = np.flatnonzero(case.periosteal.any(axis=(1, 2)))
    z = int(slices[np.abs(slices - np.quantile(slices, height)).argmin()])
    middle = (z, *(int(np.mean(at)) for at in np.nonzero(case.periosteal[z])))
    starts = [
        min(max(0, at - n // 2), max(0, length - n))
        for at, n, length in zip(middle, WINDOW_ZYX, case.hu.shape, strict=True)
    ]
    return tuple(slice(start, start + n) for start, n in zip(starts, WINDOW_ZYX, strict=True))
