from pathlib import Path

import numpy as np
import pytest

from service.adapters.onnx_predictor import RuntimeOptions, load_predictor
from service.errors import ModelError

onnx = pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from tests.builders.threshold_networks import write_threshold_networks  # noqa: E402

CPU = RuntimeOptions(provider="cpu", threads=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_threshold_networks(tmp_path_factory.mktemp("weights"))


def test_a_network_predicts_windows_of_different_sizes(weights: Path) -> None:
    network = load_predictor(weights / "periosteal.onnx", "periosteal", CPU)
    for shape in ((16, 16, 32), (32, 16, 16)):
        hu = np.full(shape, -1000.0, np.float32)
        hu[0] = 1000.0
        probability = network.predict(hu)
        assert probability.shape == shape
        np.testing.assert_allclose(probability[0], 1.0, atol=1e-6)
        np.testing.assert_allclose(probability[1:], 0.0, atol=1e-6)


def test_auto_takes_a_provider_that_works_here(weights: Path) -> None:
    network = load_predictor(weights / "endosteal.onnx", "endosteal", RuntimeOptions())
    assert network.provider.endswith("ExecutionProvider")
    assert network.contract.role == "endosteal"
    assert len(network.sha256) == 64


def test_the_other_surfaces_network_is_refused(weights: Path) -> None:
    with pytest.raises(ModelError, match="finds the endosteal surface; needed: periosteal"):
        load_predictor(weights / "endosteal.onnx", "periosteal", CPU)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"found no network file periosteal\.onnx"):
        load_predictor(tmp_path / "periosteal.onnx", "periosteal", CPU)


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "periosteal.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"no provider could load periosteal\.onnx"):
        load_predictor(path, "periosteal", CPU)


def test_a_file_without_contract_is_refused(weights: Path, tmp_path: Path) -> None:
    model = onnx.load(weights / "periosteal.onnx")
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "periosteal.onnx"))
    with pytest.raises(ModelError, match=r"no valid `femurct\.contract`"):
        load_predictor(tmp_path / "periosteal.onnx", "periosteal", CPU)


def test_a_network_that_returns_nan_is_stopped(weights: Path) -> None:
    network = load_predictor(weights / "periosteal.onnx", "periosteal", CPU)
    with pytest.raises(ModelError, match="not finite") as caught:
        network.predict(np.full((16, 16, 16), np.nan, np.float32))
    assert caught.value.code == "model_output"
