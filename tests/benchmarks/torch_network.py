"""A published network in PyTorch, so that runtimes are compared on the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from model_export.onnx_export import fold_norm
from model_export.vnet import FemurNetwork, VNet

PROBE = (32, 32, 32)
"""A small window whose operations are counted; a window's grow with its voxels."""


class TorchNetwork:
    """The V-Net of an ONNX file, batch norm folded as in the file.

    Args:
        path: a file that ``model_export export`` wrote.
        channels_last: lay tensors out with the channels innermost.
    """

    def __init__(self, path: Path, *, channels_last: bool) -> None:
        network = FemurNetwork(fold_norm(VNet().eval()))
        network.load_state_dict(
            {
                initializer.name.removesuffix("_half"): torch.from_numpy(
                    numpy_helper.to_array(initializer).astype(np.float32)
                )
                for initializer in onnx.load(path).graph.initializer
            }
        )
        layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        self._layout = layout
        self._network = network.eval().to(memory_format=layout)  # type: ignore[call-overload]

    def __call__(self, hu: torch.Tensor) -> torch.Tensor:
        """Probability, float32 ``[batch, 1, z, y, x]``, of HU of that shape."""
        with torch.no_grad():  # MONAI weighs the result in place, which inference_mode forbids
            result: torch.Tensor = self._network(hu.contiguous(memory_format=self._layout))
        return result

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """As PatchPredictor's."""
        return self(torch.from_numpy(hu)[None, None])[0, 0].numpy()

    def gflop(self, voxels: int) -> float:
        """Floating-point operations of a window (a multiplication and an addition are two), 1e9."""
        with FlopCounterMode(display=False) as counter:
            self(torch.zeros(1, 1, *PROBE))
        return float(counter.get_total_flops()) / 1e9 * voxels / float(np.prod(PROBE))
