from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from service.adapters import ort_session
from service.adapters.ort_session import OrtSession
from service.errors import ModelError

pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from tests.builders.threshold_networks import write_threshold_networks


def test_cuda_computes_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That its TF32 is switched off; a GPU is not needed to ask for it."""
    asked: list[tuple[list[str], list[dict[str, str]]]] = []

    def session(
        path: str,
        sess_options: object,
        providers: list[str],
        provider_options: list[dict[str, str]],
    ) -> SimpleNamespace:
        asked.append((providers, provider_options))
        return SimpleNamespace(
            get_providers=lambda: providers, get_inputs=lambda: [SimpleNamespace(name="hu")]
        )

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    for provider in (ort_session.CUDA, ort_session.CPU):
        OrtSession(tmp_path / "periosteal.onnx", provider, threads=1)
    assert asked == [
        ([ort_session.CUDA], [{"use_tf32": "0"}]),
        ([ort_session.CPU], [{}]),
    ]


def test_cuda_that_does_not_start_names_the_extra_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a machine without a GPU; ONNX Runtime prints what it cannot load."""
    if ort_session.has_cuda_device():
        pytest.skip("a CUDA device answers here")
    weights = write_threshold_networks(tmp_path)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load x.so"))
    ort_session._preload_cuda.cache_clear()

    with pytest.raises(ModelError, match=r"femurct\[gpu\].*Failed to load x\.so"):
        OrtSession(weights / "periosteal.onnx", ort_session.CUDA, threads=1)

    ort_session._preload_cuda.cache_clear()
    assert "Failed to load x.so" not in capfd.readouterr().out
