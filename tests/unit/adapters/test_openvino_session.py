import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino", reason="made for x86 only")
pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from service.adapters.openvino_session import OpenvinoSession
from tests.builders.threshold_networks import write_threshold_networks


def test_openvino_computes_in_float32_on_threads_that_are_not_bound(tmp_path: Path) -> None:
    path = write_threshold_networks(tmp_path) / "periosteal.onnx"
    session = OpenvinoSession(path, threads=1)
    session(np.zeros((1, 1, 16, 16, 16), np.float32))

    compiled = session._request.get_compiled_model()

    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1


def test_a_shape_is_compiled_once_as_long_as_windows_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_threshold_networks(tmp_path) / "periosteal.onnx"
    session = OpenvinoSession(path, threads=1)
    compiled = []
    compile_shape = session._compile
    monkeypatch.setattr(
        session, "_compile", lambda shape: (compiled.append(shape), compile_shape(shape))
    )
    for z in (16, 16, 32, 32, 16):
        session(np.zeros((1, 1, z, 16, 16), np.float32))
    assert [shape[2] for shape in compiled] == [16, 32, 16]


def test_of_two_networks_only_the_one_in_use_holds_working_memory(tmp_path: Path) -> None:
    folder = write_threshold_networks(tmp_path)
    first, second = (
        OpenvinoSession(folder / f"{role}.onnx", threads=1) for role in ("periosteal", "endosteal")
    )
    hu = np.full((1, 1, 16, 16, 16), 400.0, np.float32)
    before = first(hu)

    second(hu)

    assert first._request is None
    np.testing.assert_array_equal(first(hu), before)
    assert second._request is None


def test_openvino_sends_no_telemetry(tmp_path: Path) -> None:
    """With a package of that name on the path, which would be imported and told of each start."""
    package = tmp_path / "openvino_telemetry"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('telemetry was imported')")
    code = "from service.adapters.openvino_session import _openvino; print(_openvino().__name__)"
    search_path = [str(tmp_path), str(Path(__file__).parents[3])]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {search_path}; {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "openvino\n", result.stderr


def test_a_process_whose_sessions_are_gone_still_handles_signals(tmp_path: Path) -> None:
    path = write_threshold_networks(tmp_path) / "periosteal.onnx"
    code = f"""
import os, signal
import numpy as np
from service.adapters.openvino_session import OpenvinoSession

sessions = [OpenvinoSession({str(path)!r}, threads=1) for _ in range(2)]
for session in sessions:
    session(np.zeros((1, 1, 16, 16, 16), np.float32))
del session
del sessions[0]
del sessions[0]
signal.signal(signal.SIGTERM, lambda number, frame: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "handled\n"), result.stderr
