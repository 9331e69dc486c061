from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from model_export import onnx_export
from model_export.checkpoint import Checkpoint
from model_export.config import TrainingConfig
from model_export.onnx_export import deployable, publish, weights_sha256
from model_export.vnet import FemurNetwork, VNet
from service.domain.model_contract import METADATA_KEY, DiceFit, ModelContract
from service.errors import ModelError


@pytest.fixture
def checkpoint(
    tmp_path: Path, tiny: TrainingConfig, finished: Callable[..., Checkpoint]
) -> Checkpoint:
    torch.manual_seed(0)
    config = tiny.model_copy(update={"channels": (4, 4, 8, 8, 8)})
    network = VNet(config.channels)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2.0)
    found = finished(config, network, "2 tubes")
    found.save(tmp_path / "checkpoint.pt")
    return found


def test_a_published_file_computes_what_torch_does(tmp_path: Path, checkpoint: Checkpoint):
    out = tmp_path / "weights" / "periosteal.onnx"
    assert publish(tmp_path, out) <= 1e-4
    hu = np.full((1, 1, 16, 48, 32), 300, dtype=np.float32)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (found,) = session.run(["probability"], {"hu": hu})
    with torch.no_grad():
        expected = deployable(checkpoint)(torch.from_numpy(hu)).numpy()
    assert found.shape == hu.shape
    assert np.abs(found - expected).max() <= 1e-4
    assert [p.name for p in out.parent.iterdir()] == ["periosteal.onnx"]


def test_folding_and_rounding_change_the_network_little(checkpoint: Checkpoint):
    whole = VNet(checkpoint.config().channels)
    whole.load_state_dict(checkpoint.network)
    hu = 500 * torch.randn(1, 1, 16, 32, 32)
    with torch.no_grad():
        difference = (FemurNetwork(whole.eval())(hu) - deployable(checkpoint)(hu)).abs().max()
    assert 0 < difference < 0.01


def test_a_published_file_carries_its_contract(tmp_path: Path, checkpoint: Checkpoint):
    out = tmp_path / "periosteal.onnx"
    fit = DiceFit(intercept=-1.0, slope=2.0, cases=32, correlation=0.9)
    publish(tmp_path, out, fit)
    entries = {entry.key: entry.value for entry in onnx.load(str(out)).metadata_props}
    contract = ModelContract.model_validate_json(entries[METADATA_KEY])
    assert contract.dice_fit == fit
    assert contract.role == "periosteal"
    assert contract.configuration_sha256 == checkpoint.config().sha256()
    assert contract.trained_on.startswith("2 tubes; configuration cpu, 7 steps.")


def test_a_run_has_the_weights_digest_of_the_file_it_is_published_as(
    tmp_path: Path, checkpoint: Checkpoint
):
    out = tmp_path / "periosteal.onnx"
    publish(tmp_path, out)
    digest = weights_sha256(out)
    assert weights_sha256(tmp_path) == weights_sha256(tmp_path / "checkpoint.pt") == digest
    publish(tmp_path, out, DiceFit(intercept=-1.0, slope=2.0, cases=32, correlation=0.9))
    assert weights_sha256(out) == digest
    name = next(name for name, value in checkpoint.network.items() if value.dim() == 5)
    checkpoint.network[name][0, 0, 0, 0, 0] += 1
    checkpoint.save(tmp_path / "checkpoint.pt")
    assert weights_sha256(tmp_path) != digest


def test_large_weights_are_stored_as_fp16(tmp_path: Path, checkpoint: Checkpoint):
    out = tmp_path / "periosteal.onnx"
    publish(tmp_path, out)
    types = {
        initializer.data_type
        for initializer in onnx.load(str(out)).graph.initializer
        if np.prod(initializer.dims) >= onnx_export.SMALLEST_STORED_AS_HALF
    }
    assert types == {TensorProto.FLOAT16}


def test_nothing_is_published_where_the_two_disagree(
    tmp_path: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "periosteal.onnx"
    out.write_bytes(b"the one before")
    monkeypatch.setattr(onnx_export, "largest_difference", lambda network, path: float("nan"))
    with pytest.raises(ModelError, match="left as it was"):
        publish(tmp_path, out)
    assert out.read_bytes() == b"the one before"
    assert not list(tmp_path.glob("*.partial"))
