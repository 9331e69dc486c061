from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from service.adapters import onnx_predictor
from service.adapters.onnx_predictor import (
    CANDIDATES,
    ProviderChoice,
    RuntimeOptions,
    load_predictor,
)
from service.domain.model_contract import ModelContract
from service.errors import ModelError

onnx = pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from tests.builders.threshold_networks import write_threshold_networks  # noqa: E402

SHIPPED_WEIGHTS = Path(onnx_predictor.__file__).parents[1] / "weights"
CPU = RuntimeOptions(provider="cpu", threads=1)


@pytest.fixture(params=["cpu", "openvino"])
def on_cpu(request: pytest.FixtureRequest) -> RuntimeOptions:
    """Each runtime that needs no GPU."""
    choice: ProviderChoice = request.param
    for provider in CANDIDATES[choice]:
        if missing := onnx_predictor._missing(provider, ModelContract(role="periosteal")):
            pytest.skip(missing)
    return RuntimeOptions(provider=choice, threads=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_threshold_networks(tmp_path_factory.mktemp("weights"))


def test_a_network_predicts_windows_of_different_sizes(
    weights: Path, on_cpu: RuntimeOptions
) -> None:
    network = load_predictor(weights / "periosteal.onnx", "periosteal", on_cpu)
    assert (network.provider,) == CANDIDATES[on_cpu.provider]
    for shape in ((16, 16, 32), (32, 16, 16), (16, 16, 32)):
        hu = np.full(shape, -1000.0, np.float32)
        hu[0] = 1000.0
        probability = network.predict(hu)
        assert probability.shape == shape
        np.testing.assert_allclose(probability[0], 1.0, atol=1e-6)
        np.testing.assert_allclose(probability[1:], 0.0, atol=1e-6)


def test_what_a_network_returned_is_not_overwritten_by_the_next_window(
    weights: Path, on_cpu: RuntimeOptions
) -> None:
    network = load_predictor(weights / "periosteal.onnx", "periosteal", on_cpu)
    bone = network.predict(np.full((16, 16, 16), 1000.0, np.float32))
    network.predict(np.full((16, 16, 16), -1000.0, np.float32))
    np.testing.assert_allclose(bone, 1.0, atol=1e-6)


def test_both_networks_of_the_cascade_run_in_one_process(
    weights: Path, on_cpu: RuntimeOptions
) -> None:
    outer = load_predictor(weights / "periosteal.onnx", "periosteal", on_cpu)
    inner = load_predictor(weights / "endosteal.onnx", "endosteal", on_cpu)
    cortex = np.full((16, 16, 16), 1000.0, np.float32)
    for _ in range(2):
        np.testing.assert_allclose(outer.predict(cortex), 1.0, atol=1e-6)
        np.testing.assert_allclose(inner.predict(cortex), 0.0, atol=1e-6)


def test_both_cpu_runtimes_agree_on_the_shipped_network() -> None:
    """In float32, to rounding; in bfloat16 they would differ by 1e-2."""
    pytest.importorskip("openvino", reason="made for x86 only")
    path = SHIPPED_WEIGHTS / "endosteal.onnx"
    hu = np.random.default_rng(0).normal(100.0, 300.0, (32, 48, 32)).astype(np.float32)
    ort, openvino = (
        load_predictor(path, "endosteal", RuntimeOptions(provider=choice, threads=1)).predict(hu)
        for choice in ("cpu", "openvino")
    )
    assert float(ort.std()) > 0.01, "not all background"
    np.testing.assert_allclose(openvino, ort, atol=1e-5)


def test_auto_takes_a_provider_that_works_here(weights: Path) -> None:
    network = load_predictor(weights / "endosteal.onnx", "endosteal", RuntimeOptions())
    assert network.provider in CANDIDATES["auto"]
    assert network.contract.role == "endosteal"
    assert len(network.sha256) == 64


def test_auto_tries_openvino_after_cuda_and_says_why_each_was_skipped(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A CUDA device answers, and its provider does not start; so with OpenVINO."""
    open_session = onnx_predictor._session
    tried = []

    def session(path: Path, contract: ModelContract, provider: str, threads: int) -> object:
        tried.append(provider)
        if provider != onnx_predictor.CPU:
            raise RuntimeError("libcudnn.so.9 not found\nmore")
        return open_session(path, contract, provider, threads)

    monkeypatch.setattr(onnx_predictor, "_missing", lambda provider, contract: "")
    monkeypatch.setattr(onnx_predictor, "_session", session)

    network = load_predictor(weights / "periosteal.onnx", "periosteal", RuntimeOptions())

    assert tuple(tried) == CANDIDATES["auto"]
    assert network.provider == onnx_predictor.CPU
    assert network.skipped == (
        "CUDAExecutionProvider: libcudnn.so.9 not found",
        "OpenVINO int8: libcudnn.so.9 not found",
        "OpenVINO: libcudnn.so.9 not found",
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"the periosteal network does not run on {reason}" for reason in network.skipped
    ]


@pytest.fixture
def on_int8(monkeypatch: pytest.MonkeyPatch) -> RuntimeOptions:
    """OpenVINO on int8, on a CPU that is taken to have bfloat16."""
    pytest.importorskip("openvino", reason="made for x86 only")
    monkeypatch.setattr(onnx_predictor, "has_bfloat16", lambda: True)
    return RuntimeOptions(provider="openvino-int8", threads=1)


def test_the_shipped_networks_are_calibrated_and_keep_their_surface_on_int8(
    on_int8: RuntimeOptions,
) -> None:
    """A ball of bone in water, for the endosteal network in what lies outside a mask."""
    z, y, x = np.ogrid[-32:32, -32:32, -32:32]
    radius = np.sqrt(z * z + y * y + x * x)
    roles: tuple[tuple[Literal["periosteal", "endosteal"], float], ...]
    roles = (("periosteal", 0.0), ("endosteal", -500.0))
    for role, outside in roles:
        hu = np.where(radius < 24, np.where(radius > 21, 900.0, 250.0), outside)
        hu = hu.astype(np.float32)
        path = SHIPPED_WEIGHTS / f"{role}.onnx"
        rounded = load_predictor(path, role, on_int8)
        exact = load_predictor(path, role, RuntimeOptions(provider="openvino", threads=1))
        assert rounded.provider == "OpenVINO int8"
        expected = exact.predict(hu)
        assert 0.5 < (expected > 0.5).sum() / (radius < 24).sum() < 1.5, "the ball is marked"
        assert 0 < float(np.abs(rounded.predict(hu) - expected).mean()) < 2e-4


def test_a_file_without_calibration_runs_in_float32(weights: Path, on_int8: RuntimeOptions) -> None:
    with pytest.raises(ModelError, match=r"not calibrated for it \(`python -m model_export"):
        load_predictor(weights / "periosteal.onnx", "periosteal", on_int8)
    network = load_predictor(weights / "periosteal.onnx", "periosteal", RuntimeOptions())
    assert network.provider != "OpenVINO int8"


def test_a_cpu_without_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="made for x86 only")
    monkeypatch.setattr(onnx_predictor, "has_bfloat16", lambda: False)
    monkeypatch.setattr(onnx_predictor, "missing_for_cuda", lambda: "no CUDA device answers")
    network = load_predictor(SHIPPED_WEIGHTS / "endosteal.onnx", "endosteal", RuntimeOptions())
    assert network.provider == "OpenVINO"
    assert "OpenVINO int8: this CPU has no bfloat16" in network.skipped


def test_openvino_that_cannot_be_imported_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise ImportError("libopenvino.so.2640: cannot open shared object file")

    monkeypatch.setattr(onnx_predictor, "has_bfloat16", broken)
    monkeypatch.setattr(onnx_predictor, "OpenvinoSession", lambda path, threads: broken())
    monkeypatch.setattr(onnx_predictor, "missing_for_cuda", lambda: "no CUDA device answers")
    network = load_predictor(SHIPPED_WEIGHTS / "endosteal.onnx", "endosteal", RuntimeOptions())
    assert network.provider == onnx_predictor.CPU
    assert any("OpenVINO int8: libopenvino.so" in reason for reason in network.skipped)


def test_the_other_surfaces_network_is_refused(weights: Path) -> None:
    with pytest.raises(ModelError, match="finds the endosteal surface; needed: periosteal"):
        load_predictor(weights / "endosteal.onnx", "periosteal", CPU)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"found no network file periosteal\.onnx"):
        load_predictor(tmp_path / "periosteal.onnx", "periosteal", CPU)


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "periosteal.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"periosteal\.onnx|network file"):
        load_predictor(path, "periosteal", CPU)


def test_a_file_without_contract_is_refused(weights: Path, tmp_path: Path) -> None:
    model = onnx.load(weights / "periosteal.onnx")
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "periosteal.onnx"))
    with pytest.raises(ModelError, match="no femurct contract"):
        load_predictor(tmp_path / "periosteal.onnx", "periosteal", CPU)


def test_a_network_that_returns_nan_is_stopped(weights: Path, on_cpu: RuntimeOptions) -> None:
    network = load_predictor(weights / "periosteal.onnx", "periosteal", on_cpu)
    with pytest.raises(ModelError, match="not finite") as caught:
        network.predict(np.full((16, 16, 16), np.nan, np.float32))
    assert caught.value.code == "model_output"


def test_a_runtime_that_returns_nan_is_not_chosen(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        path: Path, contract: ModelContract, provider: str, threads: int
    ) -> onnx_predictor.Session:
        return lambda hu: np.full_like(hu, np.nan)

    monkeypatch.setattr(onnx_predictor, "_session", broken)
    with pytest.raises(ModelError, match=r"no provider could load .*not finite"):
        load_predictor(weights / "periosteal.onnx", "periosteal", CPU)


@pytest.mark.parametrize(("threads", "expected"), [(0, 3), (2, 2)])
def test_without_a_number_of_threads_all_cpus_of_the_container_are_used(
    weights: Path, monkeypatch: pytest.MonkeyPatch, threads: int, expected: int
) -> None:
    given = []

    def session(
        path: Path, contract: ModelContract, provider: str, threads: int
    ) -> onnx_predictor.Session:
        given.append(threads)
        return lambda hu: hu

    monkeypatch.setattr(onnx_predictor, "_session", session)
    monkeypatch.setattr(onnx_predictor, "cpu_limit", lambda: 3)
    load_predictor(
        weights / "periosteal.onnx", "periosteal", RuntimeOptions(provider="cpu", threads=threads)
    )
    assert given == [expected]
