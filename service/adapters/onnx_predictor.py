"""ONNX Runtime session -> PatchPredictor; the contract is checked when the file is loaded."""

from __future__ import annotations

import ctypes
import hashlib
import logging
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from pydantic import ValidationError

from service.domain.model_contract import METADATA_KEY, ModelContract
from service.errors import ModelError

logger = logging.getLogger(__name__)

ProviderChoice = Literal["auto", "cuda", "openvino", "cpu"]

OPENVINO = "OpenVINOExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

CANDIDATES: dict[ProviderChoice, tuple[str, ...]] = {
    "auto": (CUDA, OPENVINO, CPU),
    "cuda": (CUDA,),
    "openvino": (OPENVINO,),
    "cpu": (CPU,),
}
"""What is tried for each choice, fastest first."""


@dataclass(frozen=True)
class RuntimeOptions:
    """What runs the networks.

    Attributes:
        provider: ``auto`` takes the first that works of CUDA, OpenVINO and ONNX Runtime's own CPU.
        threads: CPU threads per session; 0 lets the runtime decide.
    """

    provider: ProviderChoice = "auto"
    threads: int = 0


@dataclass(frozen=True)
class Choice:
    """The provider that runs a network.

    Attributes:
        provider: its name in ONNX Runtime.
        skipped: each faster one, and why it was not taken.
    """

    provider: str
    skipped: tuple[str, ...] = ()


class OnnxPredictor:
    """One network file in one ONNX Runtime session.

    Attributes:
        contract: what the file promises.
        provider: the execution provider that runs it.
        skipped: as in Choice.
        sha256: of the file.
    """

    def __init__(
        self, session: ort.InferenceSession, contract: ModelContract, choice: Choice, sha256: str
    ) -> None:
        self.contract = contract
        self.provider = choice.provider
        self.skipped = choice.skipped
        self.sha256 = sha256
        self._session = session

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Foreground probability of one window.

        Args:
            hu: float32 ``[z, y, x]``, sides multiples of ``contract.size_multiple``.

        Returns:
            float32 of the same shape, 0-1.

        Raises:
            ModelError: ``model_output`` when the network returns a number that is not finite.
        """
        (output,) = self._session.run(
            [self.contract.output_name], {self.contract.input_name: hu[None, None]}
        )
        probability: npt.NDArray[np.float32] = output[0, 0]
        if not np.isfinite(probability).all():
            raise ModelError(
                f"the {self.contract.role} network returned a number that is not finite; "
                "run `femurct doctor`, or choose another provider",
                code="model_output",
            )
        return probability


def load_predictor(
    path: Path, role: Literal["periosteal", "endosteal"], options: RuntimeOptions
) -> OnnxPredictor:
    """Load one network.

    Args:
        path: an ONNX file whose metadata holds a ModelContract.
        role: which surface the file must find.
        options: what runs it.

    Raises:
        ModelError: if the file is missing, is no ONNX, breaks the contract or finds the other
            surface, or if the chosen provider does not work here.
    """
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"found no network file {path.name}; {role} needs one in the weights folder"
        ) from error
    skipped: list[str] = []
    for provider in CANDIDATES[options.provider]:
        if missing := _missing(provider):
            skipped.append(f"{provider}: {missing}")
            continue
        try:
            session = _session(path, provider, options.threads)
        except Exception as error:  # ONNX Runtime's errors share no other base class
            reason = str(error).partition("\n")[0][:200]
            skipped.append(f"{provider}: {reason}")
            logger.warning("the %s network does not run on %s", role, skipped[-1])
            continue
        sha256 = hashlib.sha256(model).hexdigest()
        contract = _contract(session, path, role)
        return OnnxPredictor(session, contract, Choice(provider, tuple(skipped)), sha256)
    raise ModelError(f"no provider could load {path.name} ({'; '.join(skipped)})")


def _missing(provider: str) -> str:
    """What a provider needs and this machine lacks; empty where it is worth a try."""
    if provider == CUDA and CUDA not in ort.get_available_providers():
        return "this build of ONNX Runtime comes without CUDA"
    if provider == CUDA and not _has_cuda_device():
        return "no CUDA device answers"
    if provider == OPENVINO and _openvino_device() is None:
        return "the OpenVINO plugin is not installed, or offers no device for this CPU"
    return ""


def _has_cuda_device() -> bool:
    """Whether NVIDIA's driver is there and counts a device.

    ONNX Runtime's own list of devices comes from the display drivers, which a server may not load.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return False
    return count.value > 0


@cache
def _preload_cuda() -> str:
    """Load CUDA and cuDNN of the ``gpu`` extra, which lie where the linker does not look.

    Returns:
        The first thing that could not be loaded, as ONNX Runtime prints it; empty if none.
    """
    with redirect_stdout(StringIO()) as said:
        ort.preload_dlls()
    return said.getvalue().partition("\n")[0]


@cache
def _openvino_device() -> ort.OrtEpDevice | None:
    """The CPU device of the OpenVINO plugin, registered once per process; None where absent.

    The plugin offers none on a CPU that is not Intel's (microsoft/onnxruntime pull request 31981).
    """
    try:
        import onnxruntime_ep_openvino as plugin
    except ImportError:
        return None
    ort.register_execution_provider_library(OPENVINO, plugin.get_library_path())
    for device in ort.get_ep_devices():
        # the plugin also offers .AUTO, .HETERO and the like
        if device.ep_name == OPENVINO and device.device.type == ort.OrtHardwareDeviceType.CPU:
            return device
    return None


def _session(path: Path, provider: str, threads: int) -> ort.InferenceSession:
    """A session on one provider; raises what ONNX Runtime raises where it does not work."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if threads:
        options.intra_op_num_threads = threads
    if provider == OPENVINO:
        settings = {"num_of_threads": str(threads)} if threads else {}
        options.add_provider_for_devices([_openvino_device()], settings)
        return ort.InferenceSession(str(path), sess_options=options)
    not_loaded = _preload_cuda() if provider == CUDA else ""
    session = ort.InferenceSession(str(path), sess_options=options, providers=[provider])
    if provider not in session.get_providers():
        raise ModelError(
            "it does not start; install femurct[gpu], or the CUDA and cuDNN that ONNX Runtime "
            f"needs, and a driver for them. {not_loaded}".strip()
        )
    return session


def _contract(session: ort.InferenceSession, path: Path, role: str) -> ModelContract:
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        contract = ModelContract.model_validate_json(metadata.get(METADATA_KEY, ""))
    except ValidationError as error:
        raise ModelError(
            f"{path.name} carries no valid `{METADATA_KEY}` in its metadata; "
            "export it with `python -m model_export export`"
        ) from error
    if contract.role != role:
        raise ModelError(f"{path.name} finds the {contract.role} surface; needed: {role}")
    return contract
