"""Networks that keep the contract and only threshold HU, in memory and as two ONNX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from service.domain.model_contract import METADATA_KEY, ModelContract


@dataclass(frozen=True)
class ThresholdNetwork:
    """1 where HU lies between two bounds."""

    contract: ModelContract
    above_hu: float
    below_hu: float
    provider: str = "test"
    sha256: str = "0" * 64

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return ((hu > self.above_hu) & (hu < self.below_hu)).astype(np.float32)


def write_threshold_networks(folder: Path) -> Path:
    """Write both files; the folder, for FEMURCT_WEIGHTS_DIR.

    Periosteal: bone is above 130 HU. Endosteal: inside that, marrow and trabecular bone are
    below 500 HU, and the HU outside the periosteal mask is not inside the cortex.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "periosteal.onnx", "periosteal", above_hu=130.0, below_hu=1e6)
    _write(folder / "endosteal.onnx", "endosteal", above_hu=-300.0, below_hu=500.0)
    return folder


def _write(
    path: Path, role: Literal["periosteal", "endosteal"], above_hu: float, below_hu: float
) -> None:
    """Probability: sigmoid((hu - above) / 10) * sigmoid((below - hu) / 10)."""
    nodes = [
        helper.make_node("Sub", ["hu", "above"], ["over"]),
        helper.make_node("Div", ["over", "width"], ["over_scaled"]),
        helper.make_node("Sigmoid", ["over_scaled"], ["is_over"]),
        helper.make_node("Sub", ["below", "hu"], ["under"]),
        helper.make_node("Div", ["under", "width"], ["under_scaled"]),
        helper.make_node("Sigmoid", ["under_scaled"], ["is_under"]),
        helper.make_node("Mul", ["is_over", "is_under"], ["probability"]),
    ]
    constants = {"above": above_hu, "below": below_hu, "width": 10.0}
    shape = [1, 1, "z", "y", "x"]
    graph = helper.make_graph(
        nodes,
        "threshold",
        [helper.make_tensor_value_info("hu", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, shape)],
        [helper.make_tensor(k, TensorProto.FLOAT, [], [v]) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    contract = ModelContract(role=role, trained_on="nothing: a threshold for tests")
    helper.set_model_props(model, {METADATA_KEY: contract.model_dump_json()})
    onnx.save(model, str(path))
