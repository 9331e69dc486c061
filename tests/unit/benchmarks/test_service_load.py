"""The load script counts every job's end and every refusal by name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import httpx
import pytest

from tests.benchmarks.service_load import Load, Record, _make_distinct, _one_job, report

LOAD = Load("http://service", (), until=0.0, give_up=float("inf"), poll_s=0.0)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as entries:
        entries.writestr("1.dcm", b"x")
    return tmp_path / "a.zip"


def service(*states: dict[str, object]) -> httpx.Client:
    """A service whose job goes through these states."""
    remaining = iter(states)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, json={"id": "7"})
        if request.url.path.endswith("/result"):
            return httpx.Response(200, json={})
        return httpx.Response(200, json=next(remaining))

    return httpx.Client(transport=httpx.MockTransport(answer), base_url=LOAD.url)


def test_a_job_that_succeeds_is_polled_to_the_end_and_its_result_fetched(archive: Path) -> None:
    record = Record()
    running = {"state": "running", "error": None}
    with service(running, running, {"state": "succeeded", "error": None}) as http:
        assert _one_job(http, archive, LOAD, record) == "succeeded"
    counts = {what: len(times) for what, times in record.latencies_s.items()}
    assert counts == {"submit": 1, "status": 3, "result": 1}


def test_a_failed_job_is_named_by_its_code(archive: Path) -> None:
    failed = {"state": "failed", "error": {"code": "no_dicom", "detail": "..."}}
    with service(failed) as http:
        assert _one_job(http, archive, LOAD, Record()) == "failed no_dicom"


def test_a_refusal_is_named_by_its_problem_code(archive: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(413, json={"code": "too_large"}))
    with httpx.Client(transport=transport, base_url=LOAD.url) as http:
        assert _one_job(http, archive, LOAD, Record()) == "refused 413 too_large"


def test_copies_of_a_series_differ_and_still_hold_its_members(
    archive: Path, tmp_path: Path
) -> None:
    copies = [tmp_path / "b.zip", tmp_path / "c.zip"]
    for number, copy in enumerate(copies):
        _make_distinct(archive, copy, str(number))
    assert copies[0].read_bytes() != copies[1].read_bytes()
    for copy in copies:
        with zipfile.ZipFile(copy) as entries:
            assert entries.read("1.dcm") == b"x"


def test_the_report_gives_median_and_worst_in_milliseconds() -> None:
    record = Record()
    for seconds in (0.001, 0.002, 0.050):
        record.took("status", seconds)
    record.ended("succeeded")
    text = report(record)
    assert "| succeeded | 1 |" in text
    assert "| status | 3 | 2.0 | 2.0 | 50.0 |" in text
