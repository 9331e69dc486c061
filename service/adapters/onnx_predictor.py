"""ONNX file -> PatchPredictor, in the fastest runtime that works here; the contract is checked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.adapters.cpu_limit import cpu_limit
from service.adapters.model_files import read_model
from service.adapters.openvino_session import OpenvinoSession, has_bfloat16
from service.adapters.ort_session import CPU, CUDA, OrtSession, missing_for_cuda
from service.domain.model_contract import ModelContract, ModelFile
from service.errors import ModelError

logger = logging.getLogger(__name__)

ProviderChoice = Literal["auto", "cuda", "openvino-int8", "openvino", "cpu"]

OPENVINO_INT8 = "OpenVINO int8"
OPENVINO = "OpenVINO"

CANDIDATES: dict[ProviderChoice, tuple[str, ...]] = {
    "auto": (CUDA, OPENVINO_INT8, OPENVINO, CPU),
    "cuda": (CUDA,),
    "openvino-int8": (OPENVINO_INT8,),
    "openvino": (OPENVINO,),
    "cpu": (CPU,),
}
"""What is tried for each choice, fastest first."""

Float32Array = npt.NDArray[np.float32]

Session = Callable[[Float32Array], Float32Array]
"""One network in a runtime: HU ``[1, 1, z, y, x]`` to probabilities of the same shape."""


@dataclass(frozen=True)
class RuntimeOptions:
    """What runs the networks.

    Attributes:
        provider: ``auto`` takes the first that works of CUDA, OpenVINO on int8, OpenVINO in float32
            and ONNX Runtime's own CPU.
        threads: CPU threads per network; 0 for as many as the container may use.
    """

    provider: ProviderChoice = "auto"
    threads: int = 0


class OnnxPredictor:
    """One network file in one runtime.

    Attributes:
        contract: what the file promises.
        provider: what runs it: OPENVINO_INT8, OPENVINO, or its name in ONNX Runtime.
        skipped: each faster one, and why it was not taken.
        sha256: of the file.
    """

    def __init__(
        self, session: Session, model: ModelFile, provider: str, skipped: tuple[str, ...]
    ) -> None:
        self.contract = model.contract
        self.provider = provider
        self.skipped = skipped
        self.sha256 = model.sha256
        self._session = session

    def predict(self, hu: Float32Array) -> Float32Array:
        """Foreground probability of one window.

        Args:
            hu: float32 ``[z, y, x]``, sides multiples of ``contract.size_multiple``.

        Returns:
            float32 of the same shape, 0-1.

        Raises:
            ModelError: ``model_output`` when the network returns a number that is not finite.
        """
        probability: Float32Array = self._session(hu[None, None])[0, 0]
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
    """Load one network and run it once, so that what comes back works.

    Args:
        path: an ONNX file whose metadata holds a ModelContract.
        role: which surface the file must find.
        options: what runs it.

    Raises:
        ModelError: if the file is missing, is no ONNX, breaks the contract or finds the other
            surface, or if the chosen provider does not work here.
    """
    try:
        model = read_model(path)
    except OSError as error:
        raise ModelError(
            f"found no network file {path.name}; {role} needs one in the weights folder"
        ) from error
    if model.role != role:
        raise ModelError(f"{path.name} finds the {model.role} surface; needed: {role}")
    skipped: list[str] = []
    smallest = np.zeros((model.contract.size_multiple,) * 3, np.float32)
    for provider in CANDIDATES[options.provider]:
        try:
            if missing := _missing(provider, model.contract):
                skipped.append(f"{provider}: {missing}")
                continue
            session = _session(path, model.contract, provider, options.threads or cpu_limit())
            predictor = OnnxPredictor(session, model, provider, tuple(skipped))
            predictor.predict(smallest)
        except Exception as error:  # the runtimes' errors share no other base class
            reason = str(error).partition("\n")[0][:200]
            skipped.append(f"{provider}: {reason}")
            logger.warning("the %s network does not run on %s", role, skipped[-1])
            continue
        return predictor
    raise ModelError(f"no provider could load {path.name} ({'; '.join(skipped)})")


def _missing(provider: str, contract: ModelContract) -> str:
    """What a provider needs and this machine or file lacks; empty where it is worth a try."""
    if provider == CUDA:
        return missing_for_cuda()
    if provider in (OPENVINO_INT8, OPENVINO) and find_spec("openvino") is None:
        return "the package openvino is not installed"
    if provider == OPENVINO_INT8 and not has_bfloat16():
        return "this CPU has no bfloat16"
    if provider == OPENVINO_INT8 and not contract.int8_bounds:
        return "the file is not calibrated for it (`python -m model_export calibrate`)"
    return ""


def _session(path: Path, contract: ModelContract, provider: str, threads: int) -> Session:
    """A session on one provider; raises what its runtime raises where it does not work."""
    if provider == OPENVINO_INT8:
        return OpenvinoSession(path, threads, contract.int8_bounds)
    if provider == OPENVINO:
        return OpenvinoSession(path, threads)
    return OrtSession(path, provider, threads)
