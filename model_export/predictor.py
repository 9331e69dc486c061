"""A training run -> PatchPredictor, so that evaluation runs what production runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from model_export.checkpoint import RunError, load_checkpoint, model_file
from model_export.config import Role
from model_export.networks import available_device, network_of
from model_export.onnx_export import contract_of, require_cascade
from model_export.vnet import FemurNetwork
from service.adapters.onnx_predictor import RuntimeOptions, load_predictor
from service.domain.ports import PatchPredictor


class TorchPredictor:
    """The network of a run, in float32, as trained: neither folded nor rounded as when exported.

    Args:
        run: a run's folder, of which the weights it stands for are taken, or a checkpoint file.

    Attributes:
        config: it was trained with.
        contract: what the exported file would promise.
        provider: such as ``torch cpu``.
        sha256: of the checkpoint file.

    Raises:
        RunError: if there is no checkpoint.
    """

    def __init__(self, run: Path) -> None:
        path = model_file(run)
        checkpoint = load_checkpoint(path)
        self._device = available_device()
        self.config = checkpoint.config()
        self.contract = contract_of(checkpoint)
        self.provider = f"torch {self._device.type}"
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        network = network_of(self.config)
        network.load_state_dict(checkpoint.network)
        self._network = FemurNetwork(network).eval().to(self._device)

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Foreground probability of one window.

        Args:
            hu: float32 ``[z, y, x]``, sides multiples of ``contract.size_multiple``.

        Returns:
            float32 of the same shape, 0-1.
        """
        with torch.inference_mode():
            window = torch.from_numpy(hu)[None, None].to(self._device)
            probability = self._network(window)[0, 0].cpu().numpy()
        return np.asarray(probability, dtype=np.float32)


def open_predictor(path: Path, role: Role) -> PatchPredictor:
    """A network for the cascade: a published ``.onnx`` file, a run's folder or a checkpoint file.

    Raises:
        ModelError: for an ONNX file that is missing, breaks its contract or finds another surface.
        RunError: for a run without checkpoint, of another surface or of an ablation.
    """
    if path.suffix == ".onnx":
        return load_predictor(path, role, RuntimeOptions())
    predictor = TorchPredictor(path)
    if predictor.config.role != role:
        raise RunError(f"{path} finds the {predictor.config.role} surface; needed: {role}")
    require_cascade(predictor.config)
    return predictor
