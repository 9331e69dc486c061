from pathlib import Path

import pytest

from service.adapters import ort_session
from service.adapters.ort_session import OrtSession
from service.errors import ModelError

pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from tests.builders.threshold_networks import write_threshold_networks


def test_cuda_that_does_not_start_names_the_extra_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a machine without a GPU; ONNX Runtime prints what it cannot load."""
    if ort_session.has_cuda_device():
        pytest.skip("a CUDA device answers here")
    weights = write_threshold_networks(tmp_path)
    monkeypatch.setattr(ort_session.ort, "preload_dlls", lambda: print("Failed to load x.so"))
    ort_session._preload_cuda.cache_clear()

    with pytest.raises(ModelError, match=r"femurct\[gpu\].*Failed to load x\.so"):
        OrtSession(weights / "periosteal.onnx", ort_session.CUDA, threads=1)

    ort_session._preload_cuda.cache_clear()
    assert "Failed to load x.so" not in capfd.readouterr().out
