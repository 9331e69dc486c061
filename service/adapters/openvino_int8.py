"""Convolutions of an OpenVINO model, computed on integers of 8 bits where their input allows.

What a convolution sees is rounded to 256 steps from 0 to a bound for the tensor, its weights to
255 steps around 0 for each output channel; sums are exact. The bounds come with the network file
(``model_export.calibration``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

ACTIVATION_LEVELS = 256
LARGEST_WEIGHT = 127
"""-128 is not used, so that a weight of 0 stays 0."""

HOW = ("strides", "pads_begin", "pads_end", "dilations")
"""What a convolution's parts have in common with it."""


class _Part(NamedTuple):
    """One tensor that a convolution sees, its bound (0: none) and the weights that it meets."""

    tensor: Any
    bound: float
    weights: Float32Array


def quantise(model: Any, bounds: Mapping[str, float]) -> None:
    """Let convolutions be computed on int8, in place.

    A convolution of tensors that are concatenated by channel becomes the sum of one of each: their
    ranges differ, and one of them may have no bound.

    Args:
        model: an ``openvino.Model`` that was read from an ONNX file.
        bounds: by tensor name, where values are cut off, above 0; none of them is below 0. A
            convolution of a tensor that is not named is left to floating point.

    Raises:
        ValueError: a name is of no tensor that a convolution sees.
    """
    found: set[str] = set()
    for node in list(model.get_ordered_ops()):
        if node.get_type_name() != "Convolution":
            continue
        parts = list(_parts(node, bounds))
        if any(part.bound for part in parts):
            _replace(node, parts)
            found.update(name for part in parts for name in part.tensor.get_names())
    if unknown := set(bounds) - found:
        raise ValueError(f"no convolution sees {sorted(unknown)[0]}; calibrate the file again")
    model.validate_nodes_and_infer_types()


def _parts(node: Any, bounds: Mapping[str, float]) -> Iterator[_Part]:
    """The tensors that a convolution sees, concatenated ones one by one."""
    seen, weights = node.input_value(0), _weights(node)
    source = seen.get_node()
    joined = source.get_type_name() == "Concat" and source.get_attributes()["axis"] == 1
    first = 0
    for tensor in source.input_values() if joined else [seen]:
        last = first + tensor.get_partial_shape()[1].get_length()
        bound = max((bounds.get(name, 0.0) for name in tensor.get_names()), default=0.0)
        yield _Part(tensor, bound, np.ascontiguousarray(weights[:, first:last]))
        first = last


def _weights(node: Any) -> Float32Array:
    """A convolution's weights, which the file may hold as float16."""
    constant = node.input_value(1).get_node()
    if constant.get_type_name() == "Convert":
        constant = constant.input_value(0).get_node()
    return np.asarray(constant.data, dtype=np.float32)


def _replace(node: Any, parts: list[_Part]) -> None:
    """Put a convolution of each part, and their sum, in the place of one."""
    total = reduce(_operations().add, [_convolution(node, part) for part in parts])
    for consumer in node.output(0).get_target_inputs():
        consumer.replace_source_output(total.output(0))


def _convolution(node: Any, part: _Part) -> Any:
    """The same convolution of one part, on int8 where that has a bound."""
    ops = _operations()
    tensor, weights = part.tensor, ops.constant(part.weights)
    if part.bound:
        bottom, top = (ops.constant(np.float32(end)) for end in (0.0, part.bound))
        tensor = ops.fake_quantize(tensor, bottom, top, bottom, top, ACTIVATION_LEVELS)
        weights = _rounded(part.weights)
    return ops.convolution(tensor, weights, **{k: node.get_attributes()[k] for k in HOW})


def _rounded(weights: Float32Array) -> Any:
    """Weights as integers times a scale for each output channel."""
    scale = np.abs(weights).max(axis=(1, 2, 3, 4), keepdims=True) / np.float32(LARGEST_WEIGHT)
    scale[scale == 0] = 1
    ops = _operations()
    integers = ops.constant(np.round(weights / scale).astype(np.int8))
    return ops.multiply(ops.convert(integers, "f32"), ops.constant(scale))


def _operations() -> Any:
    """OpenVINO's operations; the package is imported by whoever read the model."""
    return import_module("openvino.opset13")
