"""Bounds for computing a published network's convolutions on int8, put into its file.

A bound is where a tensor's values are cut off before they are rounded to 256 steps from 0: the one
with the least mean square error over windows of CT. Tensors that go below 0 keep their precision:
the scaled HU, and the first stage's sum that carries them to the last. So does what smaller
convolutions than 3x3x3 see: the head and the transposed ones, 5 % of the work, of which the last
made half of the masks' difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from model_export.cases import CaseError, TrainingCase, load_case
from service.domain.model_contract import METADATA_KEY, ModelContract
from service.errors import ModelError

WINDOW_ZYX = (64, 128, 112)
"""Of calibration: as deep as the paper's, wide enough for a femur's proximal end."""

HEIGHTS = (0.25, 0.8)
"""Of the windows' middles, as a part of the femur in view: in the shaft, in the proximal end."""

STEPS_PER_UNIT = 256
"""Of the histogram of a tensor's values."""

KERNEL = [3, 3, 3]

LEVELS = 255
"""Steps between 0 and the bound."""

CANDIDATES = np.linspace(0.1, 1.0, 181)
"""Bounds that are tried, as parts of the largest value seen."""

FloatArray = npt.NDArray[np.float64]


def calibrate(path: Path, cases: Sequence[Path]) -> ModelContract:
    """Measure the bounds over windows of the cases and write them into the file's contract.

    Args:
        path: a published ONNX file; replaced.
        cases: case files, as ``prepare`` writes them; none of those that results are reported on.

    Returns:
        The new contract.

    Raises:
        ModelError: the file holds no contract.
        CaseError: there is no case, or one cannot be read.
    """
    if not cases:
        raise CaseError("no case file to calibrate on; write some with `prepare` or `phantom`")
    model = onnx.load(str(path))
    entries = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    if not entries:
        raise ModelError(f"{path.name} holds no femurct contract; calibrate what `export` wrote")
    contract = ModelContract.model_validate_json(entries[0].value)
    counts = _histograms(model, (window for case in cases for window in _windows(case, contract)))
    largest = {name: round(best_bound(seen), 4) for name, seen in counts.items()}
    contract = contract.model_copy(update={"int8_largest": largest})
    entries[0].value = contract.model_dump_json()
    onnx.save(model, str(path))
    return contract


def best_bound(counts: npt.NDArray[np.int64]) -> float:
    """The bound with the least mean square error of what it cuts off and rounds.

    Args:
        counts: how many values fell into each step of ``1 / STEPS_PER_UNIT`` from 0 on; not empty.
    """
    values = (np.arange(counts.size) + 0.5) / STEPS_PER_UNIT
    bounds: FloatArray = CANDIDATES * counts.size / STEPS_PER_UNIT

    def error(bound: float) -> float:
        step = bound / LEVELS
        rounded = np.minimum(np.round(values / step), LEVELS) * step
        return float((counts * (values - rounded) ** 2).sum())

    return float(min(bounds, key=error))


def seen_by_convolutions(graph: onnx.GraphProto) -> tuple[str, ...]:
    """The tensors that convolutions of 3x3x3 voxels see, concatenated ones one by one."""
    joined = {node.output[0]: node.input for node in graph.node if node.op_type == "Concat"}
    names: dict[str, None] = {}
    for node in graph.node:
        kernel = {a.name: list(a.ints) for a in node.attribute}.get("kernel_shape")
        if node.op_type == "Conv" and kernel == KERNEL:
            names.update(dict.fromkeys(joined.get(node.input[0], [node.input[0]])))
    return tuple(names)


def _histograms(
    model: onnx.ModelProto, windows: Iterator[npt.NDArray[np.float32]]
) -> Mapping[str, npt.NDArray[np.int64]]:
    """How often each value occurs in each tensor that convolutions see, if none is below 0."""
    names = seen_by_convolutions(model.graph)
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        opened.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    counts: dict[str, npt.NDArray[np.int64]] = {name: np.zeros(1, np.int64) for name in names}
    for window in windows:
        for name, values in zip(names, session.run(list(names), {"hu": window}), strict=True):
            if name in counts and values.min() < 0:
                del counts[name]
            elif name in counts:
                new = np.bincount((values.ravel() * STEPS_PER_UNIT).astype(np.int64))
                longer = max(new.size, counts[name].size)
                counts[name] = _extended(counts[name], longer) + _extended(new, longer)
    return counts


def _extended(counts: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
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
    z = int(np.quantile(slices, height))
    z = int(slices[np.abs(slices - z).argmin()])
    middle = (z, *(int(np.mean(at)) for at in np.nonzero(case.periosteal[z])))
    starts = [
        min(max(0, at - n // 2), max(0, length - n))
        for at, n, length in zip(middle, WINDOW_ZYX, case.hu.shape, strict=True)
    ]
    return tuple(slice(start, start + n) for start, n in zip(starts, WINDOW_ZYX, strict=True))
