"""``femurct up`` and ``femurct submit`` as processes, on networks that only threshold."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import ServiceClient
from tests.builders.ct_series import ct_members
from tests.builders.running_up import GONE_WITHIN_S, eventually, started_up
from tests.builders.threshold_networks import write_threshold_networks
from tests.builders.zip_archive import write_zip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def femurct(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def descendants(pid: int) -> set[int]:
    """All processes that a process started, and those that they started (/proc/PID/stat)."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(after_name[1])
    found: set[int] = set()
    newest = {pid}
    while newest:
        newest = {child for child, parent in parents.items() if parent in newest}
        found |= newest
    return found


def all_gone(pids: set[int]) -> bool:
    def runs(pid: int) -> bool:
        try:
            return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2][1] != "Z"
        except OSError:
            return False

    return not any(runs(pid) for pid in pids)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started_up(tmp_path_factory.mktemp("up")) as running:
        yield running.url


def test_a_series_without_a_femur_is_refused_by_submit_as_by_run(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = write_zip(tmp_path / "series.zip", ct_members())
    weights = write_threshold_networks(tmp_path / "weights")
    monkeypatch.setenv("FEMURCT_WEIGHTS_DIR", str(weights))

    ran = femurct("run", series, "--out", tmp_path / "ran")
    submitted = femurct("submit", series, "--url", service, "--out", tmp_path / "submitted")

    assert (ran.returncode, submitted.returncode) == (2, 2)
    assert ran.stderr == submitted.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"series.zip", "weights"}


def test_what_is_no_zip_is_refused_and_the_service_goes_on(service: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"not a zip")

    for _ in range(2):
        refused = femurct("submit", broken, "--url", service, "--out", tmp_path / "out")
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: not_a_zip: ")

    with ServiceClient(service) as client:
        assert client.is_ready()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_every_process_ends_with_up(tmp_path: Path, ending: signal.Signals) -> None:
    """SIGTERM ends it in order; SIGKILL gives it no time to end its children."""
    with started_up(tmp_path) as running:
        pids = descendants(running.process.pid)
        assert len(pids) >= 3, "API, worker and broker"

        running.process.send_signal(ending)
        status = running.process.wait(GONE_WITHIN_S)

        assert eventually(lambda: all_gone(pids), GONE_WITHIN_S)
        assert status == (0 if ending is signal.SIGTERM else -signal.SIGKILL)


def test_a_port_that_is_taken_ends_up_with_a_reason(service: str, tmp_path: Path) -> None:
    port = service.rpartition(":")[2]

    refused = femurct("up", "--port", port, "--data-dir", tmp_path / "data")

    assert refused.returncode == 3
    assert refused.stderr.startswith(f"error: port_unavailable: cannot listen on port {port} of ")
    assert not (tmp_path / "data").exists()
