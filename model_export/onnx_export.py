"""A run's network as one ONNX file that explains and proves itself.

The graph takes raw HU and gives the foreground's probability. Batch norm is folded into the
convolutions, weights are rounded to fp16 and stored so (half the size; they are cast back when the
session is made), and the file is published only if ONNX Runtime computes what torch does.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model_export.checkpoint import Checkpoint, RunError, load_checkpoint, model_file
from model_export.config import SizeZyx, TrainingConfig
from model_export.dataset import PUBLIC_CASES
from model_export.networks import network_of
from model_export.vnet import FemurNetwork
from service.domain.model_contract import METADATA_KEY, DiceFit, ModelContract
from service.errors import ModelError

OPSET = 17
"""Every runtime we use (ONNX Runtime, OpenVINO, TensorRT) reads it."""

TOLERANCE = 1e-4
"""Largest allowed difference of a probability between torch and ONNX Runtime."""

PARITY_SIZES: tuple[SizeZyx, ...] = ((32, 64, 64), (48, 32, 80))
"""Two sizes, so that a size baked into the graph shows."""

PUBLIC_CREDIT = (
    " Real series: TCIA Soft-tissue-Sarcoma through the IBSI data set (CC BY 3.0), "
    "our own semi-automatic masks."
)
"""The attribution that the licence of ``annotated_series`` asks for."""

SMALLEST_STORED_AS_HALF = 256
"""Elements; smaller initializers (biases) stay float32 and cost nothing."""

HALF_SUFFIX = "_half"
NETWORK_PREFIX = "network."
"""An initializer is named like the parameter, within ``FemurNetwork``; one stored as half, so."""


def publish(run: Path, out: Path, dice_fit: DiceFit | None = None) -> float:
    """Exports the network of a run's checkpoint to ``out``, replacing it in one step.

    Args:
        run: the run's folder, or a checkpoint file such as ``best.pt``.
        out: for instance ``service/weights/periosteal.onnx``.
        dice_fit: what the network's doubt says of its accuracy, where it was evaluated.

    Returns:
        The largest difference found between torch and ONNX Runtime.

    Raises:
        RunError: if the folder holds no checkpoint, or one of an ablation.
        ModelError: if the two disagree by more than ``TOLERANCE``; nothing is written.
    """
    checkpoint = load_checkpoint(model_file(run))
    require_cascade(checkpoint.config())
    network = deployable(checkpoint)
    partial = out.with_suffix(".partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        contract = contract_of(checkpoint).model_copy(update={"dice_fit": dice_fit})
        _write(network, contract, partial)
        difference = largest_difference(network, partial)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"torch and ONNX Runtime differ by {difference:.2e}, {TOLERANCE} is allowed; "
                f"{out} is left as it was"
            )
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return difference


def deployable(checkpoint: Checkpoint) -> FemurNetwork:
    """The checkpoint's network in evaluation, batch norm folded, weights rounded to fp16 values."""
    network = network_of(checkpoint.config())
    network.load_state_dict(checkpoint.network)
    folded = fold_norm(network.eval())
    with torch.no_grad():
        for parameter in folded.parameters():
            if parameter.numel() >= SMALLEST_STORED_AS_HALF:
                parameter.copy_(parameter.half().float())
    return FemurNetwork(folded).eval()


def weights_sha256(path: Path) -> str:
    """Hexadecimal digest of a network's weights as published, whatever the file says of them.

    Args:
        path: a published ONNX file, a run's folder or a checkpoint file; a run has the digest of
            the file that ``publish`` makes of it.

    Raises:
        RunError: if the folder holds no checkpoint.
    """
    if path.suffix == ".onnx":
        initializers = onnx.load(str(path)).graph.initializer
        arrays = [numpy_helper.to_array(initializer) for initializer in initializers]
    else:
        network = deployable(load_checkpoint(model_file(path)))
        arrays = [_stored(p.detach().numpy()) for p in network.parameters()]
    # sorted, since the exporter chooses names and order
    parts = sorted(f"{a.dtype} {a.shape} ".encode() + a.tobytes() for a in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def require_cascade(config: TrainingConfig) -> None:
    """Raises RunError for a network that the cascade cannot feed: it masks what the second sees."""
    if config.role == "endosteal" and config.endosteal_input != "masked":
        raise RunError(
            f"configuration {config.name} is an ablation: its network sees the CT outside the "
            "periosteal mask, which the cascade masks; train with endosteal_input masked"
        )


def contract_of(checkpoint: Checkpoint) -> ModelContract:
    """What the exported file promises."""
    config = checkpoint.config()
    credit = PUBLIC_CREDIT if PUBLIC_CASES in checkpoint.cases else ""
    return ModelContract(
        role=config.role,
        configuration_sha256=config.sha256(),
        git_revision=_git_revision(),
        trained_on=(
            f"{checkpoint.cases}; configuration {config.name}, {checkpoint.step} steps"
            f"{'' if checkpoint.finished else ' of an unfinished run'}.{credit}"
        ),
    )


def largest_difference(network: nn.Module, path: Path) -> float:
    """Largest absolute difference of probability between torch and ONNX Runtime, fixed inputs."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    largest = 0.0
    for size in PARITY_SIZES:
        hu = rng.uniform(-1000, 2000, (1, 1, *size)).astype(np.float32)
        (found,) = session.run(None, {"hu": hu})
        with torch.no_grad():
            expected: Tensor = network(torch.from_numpy(hu))
        largest = max(largest, float(np.abs(found - expected.numpy()).max()))
    return largest


def fold_norm(module: nn.Module) -> nn.Module:
    """Replaces each (convolution, batch norm, ...) sequence by a convolution that does both."""
    for child in module.children():
        if isinstance(child, nn.Sequential) and len(child) > 1:
            convolution, norm = child[0], child[1]
            if isinstance(norm, nn.BatchNorm3d):
                if isinstance(convolution, nn.ConvTranspose3d):
                    child[0] = fuse_conv_bn_eval(convolution, norm, transpose=True)
                elif isinstance(convolution, nn.Conv3d):
                    child[0] = fuse_conv_bn_eval(convolution, norm)
                child[1] = nn.Identity()
        fold_norm(child)
    return module


def _write(network: FemurNetwork, contract: ModelContract, path: Path) -> None:
    sizes = {2: "z", 3: "y", 4: "x"}
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but its graph is the small one: one node per layer.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, 32, 32, 32),),
            str(path),
            input_names=[contract.input_name],
            output_names=[contract.output_name],
            dynamic_axes={contract.input_name: sizes, contract.output_name: sizes},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(str(path))
    _store_as_half(model.graph)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, contract.model_dump_json()
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _store_as_half(graph: onnx.GraphProto) -> None:
    """Stores large float32 initializers as float16, each followed by a cast back to float32."""
    casts = []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        stored = _stored(values)
        if stored.dtype != values.dtype:
            name = initializer.name
            half = numpy_helper.from_array(stored, name + HALF_SUFFIX)
            initializer.CopyFrom(half)
            casts.append(helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _stored(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """An initializer as the file holds it: float16 for large float32 ones."""
    large = values.dtype == np.float32 and values.size >= SMALLEST_STORED_AS_HALF
    return values.astype(np.float16) if large else values


def _git_revision() -> str:
    """The commit of this code, marked when files differ from it; empty outside a repository."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""
