"""The command line: exit codes, what goes to which stream, what is left on disk."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from service import bootstrap, cli
from service.client import RemoteJob, ServiceClient
from service.domain.findings import AnalysisReport, FemurSide
from service.domain.jobs import JobOptions, JobState, Progress, Stage
from service.domain.ports import ProgressListener
from service.errors import AnatomyError, FemurctError, InputError, ModelError, ServiceError
from service.settings import Settings
from tests.builders.analyses import analysis, axial_geometry

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
"""Every control character but the line feed."""

BOTH = analysis(axial_geometry(), FemurSide.LEFT, FemurSide.RIGHT).report


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "series.zip"
    path.write_bytes(b"a zip")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)


def femurct(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Run the command line in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["femurct", *map(str, words)])
    try:
        cli.main()
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def write_files(folder: Path) -> None:
    (folder / "report.json").write_text(BOTH.model_dump_json(by_alias=True), "utf-8")
    for side in ("left", "right"):
        (folder / f"{side}_regions.nii.gz").write_bytes(b"mask")


def analyse_as(monkeypatch: pytest.MonkeyPatch, failure: BaseException | None = None) -> None:
    """Replace the networks and the analysis by one that is known, or that fails half-way."""

    def analyse_archive(
        archive: Path,
        out_dir: Path,
        *,
        settings: Settings,
        networks: object,
        options: JobOptions,
        listener: ProgressListener,
    ) -> AnalysisReport:
        listener(Stage.READ, 0, 0)
        for done in range(101):
            listener(Stage.PERIOSTEAL, done, 100)
        (out_dir / "half.nii.gz").write_bytes(b"")
        if failure is not None:
            raise failure
        (out_dir / "half.nii.gz").unlink()
        write_files(out_dir)
        return BOTH

    monkeypatch.setattr(bootstrap, "load_networks", lambda settings: None)
    monkeypatch.setattr(bootstrap, "analyse_archive", analyse_archive)


def test_run_leaves_the_files_and_prints_the_volumes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    analyse_as(monkeypatch)

    assert femurct(monkeypatch, "run", series, "--out", out) == 0

    names = {path.name for path in out.iterdir()}
    assert names == {"report.json", "left_regions.nii.gz", "right_regions.nii.gz"}
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "intertrochanter" in shown.out
    assert "periosteal: 50 of 100 windows" in shown.out
    assert str(out / "report.json") in shown.out


def test_a_pipe_gets_no_control_characters_and_a_line_per_tenth(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    analyse_as(monkeypatch)

    femurct(monkeypatch, "run", series, "--out", out)

    shown = capsys.readouterr().out
    assert not CONTROL.search(shown)
    assert len([line for line in shown.splitlines() if line.startswith("periosteal:")]) == 11


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (AnatomyError("no femur here"), 2, "error: no_proximal_femur: no femur here"),
        (InputError("first\nsecond", code="bad"), 2, "error: bad: first second"),
        (ServiceError("away"), 3, "error: service_unavailable: away"),
        (ModelError("no file"), 1, "error: model_unusable: no file"),
        (FemurctError("odd"), 1, "error: internal_error: odd"),
        (OSError(28, "No space left on device"), 1, "error: io_error: [Errno 28] No space"),
        (ZeroDivisionError("x"), 1, "error: internal_error: ZeroDivisionError: x; run again"),
        (KeyboardInterrupt(), 1, "error: interrupted: "),
    ],
)
def test_a_failure_is_one_line_an_exit_code_and_no_folder(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    series: Path,
    out: Path,
    failure: BaseException,
    code: int,
    line: str,
) -> None:
    analyse_as(monkeypatch, failure)

    assert femurct(monkeypatch, "run", series, "--out", out) == code

    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(line)
    assert [path.name for path in out.parent.iterdir()] == ["series.zip"]


def test_a_traceback_is_printed_on_demand_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    analyse_as(monkeypatch, ZeroDivisionError("x"))
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")

    assert femurct(monkeypatch, "run", series, "--out", out) == 1

    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("bogus",),
        ("run",),
        ("run", "absent.zip", "--out", "x"),
        ("run", "{series}"),
        ("run", "{series}", "--out", "x", "--stride", "0"),
        ("run", "{series}", "--out", "x", "--stride", "65"),
        ("submit", "{series}", "--out", "{folder}"),
        ("submit", "{series}"),
        ("up", "--port", "70000"),
    ],
)
def test_wrong_usage_is_64(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    series: Path,
    words: tuple[str, ...],
) -> None:
    """``{folder}`` holds a file already."""
    given = [word.format(series=series, folder=series.parent) for word in words]

    assert femurct(monkeypatch, *given) == 64

    assert "Error" in capsys.readouterr().err


def test_a_wrong_setting_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    monkeypatch.setenv("FEMURCT_PORT", "many")

    assert femurct(monkeypatch, "run", series, "--out", out) == 1

    assert capsys.readouterr().err.startswith("error: bad_setting: FEMURCT_PORT: ")


def test_submit_to_nobody_is_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    code = femurct(monkeypatch, "submit", series, "--url", "http://127.0.0.1:9", "--out", out)

    assert code == 3
    assert "no service answers at http://127.0.0.1:9" in capsys.readouterr().err
    assert not out.exists()


class StubClient(ServiceClient):
    """A service that finishes every job, or is interrupted."""

    interrupted = False

    def submit(self, archive: Path, options: JobOptions, on_sent: object) -> RemoteJob:
        return RemoteJob(id="1" * 32, state=JobState.ACCEPTED)

    def wait(self, job: RemoteJob, on_change: object) -> RemoteJob:
        if self.interrupted:
            raise KeyboardInterrupt
        assert callable(on_change)
        done = Progress(done=5, total=5)
        ended = RemoteJob(id=job.id, state=JobState.SUCCEEDED, stage=Stage.WRITE, progress=done)
        on_change(ended)
        return ended

    def download(self, job: RemoteJob, folder: Path) -> AnalysisReport:
        write_files(folder)
        return BOTH


def test_submit_leaves_the_files_that_run_leaves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    analyse_as(monkeypatch)
    monkeypatch.setattr("service.client.ServiceClient", StubClient)

    assert femurct(monkeypatch, "run", series, "--out", out / "run") == 0
    assert femurct(monkeypatch, "submit", series, "--out", out / "submit") == 0

    left = [{p.name: p.read_bytes() for p in (out / way).iterdir()} for way in ("run", "submit")]
    assert left[0]["report.json"] == left[1]["report.json"]
    assert left[0].keys() == left[1].keys()
    assert "write: 5 of 5 windows" in capsys.readouterr().out


def test_an_interrupted_submit_leaves_no_folder_and_names_the_job_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], series: Path, out: Path
) -> None:
    monkeypatch.setattr("service.client.ServiceClient", StubClient)
    monkeypatch.setattr(StubClient, "interrupted", True)

    assert femurct(monkeypatch, "submit", series, "--out", out) == 1

    assert not out.exists()
    line = capsys.readouterr().err
    assert line.startswith("error: interrupted: ")
    assert f"DELETE http://127.0.0.1:8000/v1/jobs/{'1' * 32}" in line
    assert "nothing was left" not in line


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, service.cli; heavy = {'numpy', 'onnxruntime', 'fastapi', 'celery', 'httpx', "
        "'pydantic', 'pydicom', 'torch'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
