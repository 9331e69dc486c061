"""Clients that submit and poll for some minutes against a running ``femurct up``.

``python -m tests.benchmarks.service_load SERIES.zip... --minutes 10`` prints counts and latencies.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer

from service.domain.jobs import JobState
from tests.benchmarks.phantom_accuracy import markdown

FINAL = frozenset(state.value for state in JobState if state.is_final)


@dataclass
class Record:
    """What all clients saw; guarded by ``lock``."""

    latencies_s: dict[str, list[float]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def took(self, what: str, seconds: float) -> None:
        """Add one request's latency."""
        with self.lock:
            self.latencies_s.setdefault(what, []).append(seconds)

    def ended(self, how: str) -> None:
        """Add one job's end."""
        with self.lock:
            self.outcomes[how] += 1


@dataclass(frozen=True)
class Load:
    """What every client does.

    Attributes:
        url: of the service.
        series: zips, submitted in turn.
        until: monotonic time after which nothing new is submitted.
        give_up: monotonic time after which a job counts as lost.
        poll_s: pause between two status requests.
    """

    url: str
    series: tuple[Path, ...]
    until: float
    give_up: float
    poll_s: float


def client(number: int, load: Load, record: Record) -> None:
    """Submit, poll to the end, fetch the result, again and again."""
    with (
        httpx.Client(base_url=load.url, timeout=60.0) as http,
        tempfile.TemporaryDirectory() as folder,
    ):
        turn = number
        while time.monotonic() < load.until:
            archive = Path(folder) / "series.zip"
            _make_distinct(load.series[turn % len(load.series)], archive, f"{number}-{turn}")
            turn += 1
            try:
                record.ended(_one_job(http, archive, load, record))
            except httpx.HTTPError as error:
                record.ended(f"NO ANSWER {type(error).__name__}")
                time.sleep(1.0)


def _make_distinct(series: Path, archive: Path, comment: str) -> None:
    """Copy a zip with another comment: equal uploads would share one run."""
    shutil.copyfile(series, archive)
    if not zipfile.is_zipfile(archive):
        return
    with zipfile.ZipFile(archive, "a") as entries:
        entries.comment = f"{comment} {time.time_ns()}".encode()


def _one_job(http: httpx.Client, archive: Path, load: Load, record: Record) -> str:
    """How one job ended."""
    headers = {"Content-Type": "application/zip"}
    with archive.open("rb") as body:
        answer = _timed(
            record, "submit", lambda: http.post("/v1/jobs", content=body, headers=headers)
        )
    if answer.status_code != httpx.codes.ACCEPTED:
        return f"refused {answer.status_code} {_code(answer)}"
    job_id = answer.json()["id"]
    while time.monotonic() < load.give_up:
        answer = _timed(record, "status", lambda: http.get(f"/v1/jobs/{job_id}"))
        if not answer.is_success:
            return f"STATUS {answer.status_code} {_code(answer)}"
        job = answer.json()
        if job["state"] in FINAL:
            break
        time.sleep(load.poll_s)
    else:
        return "LOST: not finished in time"
    if job["state"] != JobState.SUCCEEDED:
        code = (job["error"] or {}).get("code", "NO ERROR NAMED")
        return f"{job['state']} {code}"
    result = _timed(record, "result", lambda: http.get(f"/v1/jobs/{job_id}/result"))
    return "succeeded" if result.is_success else f"RESULT {result.status_code} {_code(result)}"


def _timed(record: Record, what: str, request: Callable[[], httpx.Response]) -> httpx.Response:
    started = time.monotonic()
    answer = request()
    record.took(what, time.monotonic() - started)
    return answer


def _code(answer: httpx.Response) -> str:
    """The problem's code (RFC 9457 details), or that there is none."""
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "NO CODE"


def report(record: Record) -> str:
    """Markdown: how the jobs ended, and how long the API took to answer."""
    ends = [[how, str(count)] for how, count in sorted(record.outcomes.items())]
    times = []
    for what, seconds in sorted(record.latencies_s.items()):
        in_ms = sorted(1000 * s for s in seconds)
        worst_5_percent = in_ms[int(0.95 * (len(in_ms) - 1))]
        times.append(
            [
                what,
                str(len(in_ms)),
                f"{statistics.median(in_ms):.1f}",
                f"{worst_5_percent:.1f}",
                f"{in_ms[-1]:.1f}",
            ]
        )
    return "\n\n".join(
        (
            markdown(["job ended", "count"], ends),
            markdown(["request", "count", "median ms", "95 % ms", "worst ms"], times),
        )
    )


def main(
    series: Annotated[list[Path], typer.Argument(exists=True, help="Zips, submitted in turn.")],
    url: str = "http://127.0.0.1:8000",
    minutes: Annotated[float, typer.Option(min=0.0)] = 10.0,
    clients: Annotated[int, typer.Option(min=1)] = 2,
    poll_s: Annotated[float, typer.Option(min=0.01)] = 0.25,
    drain_minutes: Annotated[float, typer.Option(min=0.0, help="For jobs still running.")] = 15.0,
) -> None:
    """Put a running service under load."""
    until = time.monotonic() + 60 * minutes
    load = Load(url, tuple(series), until, until + 60 * drain_minutes, poll_s)
    record = Record()
    threads = [
        threading.Thread(target=client, args=(number, load, record)) for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(report(record))


if __name__ == "__main__":
    typer.run(main)
