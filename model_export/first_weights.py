"""First weights of a run: those of another run, or of a published network.

A published file has its batch norm folded into the convolutions. Here each channel's kernel gets
the length of a fresh one again and batch norm the rest, so that the network computes the same and
a step of the optimizer changes kernels of all layers alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from model_export.checkpoint import RunError, load_checkpoint, model_file
from model_export.config import TrainingConfig
from model_export.networks import network_of
from model_export.onnx_export import HALF_SUFFIX, NETWORK_PREFIX, PUBLIC_CREDIT
from service.domain.model_contract import METADATA_KEY, ModelContract


@dataclass(frozen=True, eq=False)
class FirstWeights:
    """What a run begins with.

    Attributes:
        network: state of the network.
        cases: what it was trained on, in words.
        norm_frozen: whether batch norm uses its running statistics from the first step on: a
            published network has no others.
    """

    network: dict[str, Tensor]
    cases: str
    norm_frozen: bool


def first_weights(initial: Path, config: TrainingConfig) -> FirstWeights:
    """Weights for a network of ``config``.

    Args:
        config: of the run; its network's layout must be that of the weights.
        initial: a published ``.onnx`` file, a run's folder (``model_file``) or a checkpoint file.

    Raises:
        RunError: if it cannot be read, or is of another network.
    """
    if initial.suffix == ".onnx":
        return _of_published(initial, config)
    checkpoint = load_checkpoint(model_file(initial))
    first = checkpoint.config()
    if (first.architecture, first.channels) != (config.architecture, config.channels):
        raise RunError(
            f"{initial} holds a {first.architecture} of channels {first.channels}, "
            f"configuration {config.name} needs a {config.architecture} of {config.channels}"
        )
    return FirstWeights(checkpoint.network, f"a run on {checkpoint.cases}", norm_frozen=False)


def _of_published(path: Path, config: TrainingConfig) -> FirstWeights:
    try:
        model = onnx.load(str(path))
        (text,) = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
        told = ModelContract.model_validate_json(text).trained_on
        trained_on = told.removesuffix(PUBLIC_CREDIT).removesuffix(".")
    except (OSError, DecodeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path} cannot be read as a published network: {reason}") from error
    folded = {
        initializer.name.removeprefix(NETWORK_PREFIX).removesuffix(HALF_SUFFIX): torch.from_numpy(
            numpy_helper.to_array(initializer).copy()
        ).float()
        for initializer in model.graph.initializer
    }
    network = network_of(config)
    state = _unfolded(network, folded)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(
            f"{path} holds another network than configuration {config.name} needs, "
            f"a {config.architecture} of {config.channels}"
        ) from error
    return FirstWeights(state, f"a published network on {trained_on}", norm_frozen=True)


def _unfolded(network: nn.Module, folded: dict[str, Tensor]) -> dict[str, Tensor]:
    """State of a network with batch norm that computes what ``folded`` does in evaluation.

    Args:
        network: fresh; its kernels say how long one is.
        folded: weights and biases by the names of ``fold_norm``'s network.
    """
    state = dict(folded)
    fresh = dict(network.named_parameters())
    for name, norm in network.named_modules():
        if not isinstance(norm, nn.BatchNorm3d):
            continue
        # ``fold_norm`` leaves (convolution, identity, ...) of (convolution, batch norm, ...)
        before = name.removesuffix("1") + "0"
        kernel, bias = state.get(f"{before}.weight"), state.get(f"{before}.bias")
        if kernel is None or bias is None or kernel.shape != fresh[f"{before}.weight"].shape:
            continue
        transposed = isinstance(network.get_submodule(before), nn.ConvTranspose3d)
        others = [axis for axis in range(kernel.ndim) if axis != int(transposed)]
        usual = torch.linalg.vector_norm(
            fresh[f"{before}.weight"].detach(), dim=others, keepdim=True
        )
        length = torch.linalg.vector_norm(kernel, dim=others, keepdim=True) / usual
        length = length.clamp_min(norm.eps)
        state[f"{before}.weight"] = kernel / length
        state[f"{before}.bias"] = torch.zeros_like(bias)
        state[f"{name}.weight"], state[f"{name}.bias"] = length.flatten(), bias
        state[f"{name}.running_mean"] = torch.zeros_like(bias)
        state[f"{name}.running_var"] = torch.full_like(bias, 1 - norm.eps)
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return state
