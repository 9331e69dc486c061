from pathlib import Path

import numpy as np
import pytest

from service.adapters import onnx_predictor
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


def test_auto_tries_openvino_after_cuda_and_says_why_each_was_skipped(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A CUDA device answers, and its provider does not start; so with OpenVINO."""
    open_session = onnx_predictor._session
    tried = []

    def session(path: Path, provider: str, threads: int) -> object:
        tried.append(provider)
        if provider != onnx_predictor.CPU:
            raise RuntimeError("libcudnn.so.9 not found\nmore")
        return open_session(path, provider, threads)

    monkeypatch.setattr(onnx_predictor, "_missing", lambda provider: "")
    monkeypatch.setattr(onnx_predictor, "_session", session)

    network = load_predictor(weights / "periosteal.onnx", "periosteal", RuntimeOptions())

    assert tried == [onnx_predictor.CUDA, onnx_predictor.OPENVINO, onnx_predictor.CPU]
    assert network.provider == onnx_predictor.CPU
    assert network.skipped == (
        "CUDAExecutionProvider: libcudnn.so.9 not found",
        "OpenVINOExecutionProvider: libcudnn.so.9 not found",
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"the periosteal network does not run on {reason}" for reason in network.skipped
    ]


def test_cuda_that_does_not_start_names_the_extra_and_prints_nothing(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a machine without a GPU; ONNX Runtime prints what it cannot load."""
    if onnx_predictor._has_cuda_device():
        pytest.skip("a CUDA device answers here")
    monkeypatch.setattr(onnx_predictor, "_missing", lambda provider: "")
    monkeypatch.setattr(onnx_predictor.ort, "preload_dlls", lambda: print("Failed to load x.so"))
    onnx_predictor._preload_cuda.cache_clear()

    with pytest.raises(ModelError, match=r"femurct\[gpu\].*Failed to load x\.so"):
        load_predictor(
            weights / "periosteal.onnx", "periosteal", RuntimeOptions(provider="cuda", threads=1)
        )

    onnx_predictor._preload_cuda.cache_clear()
    assert "Failed to load x.so" not in capfd.readouterr().out


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
