"""``femurct demo``: a service, a generated hip CT through it, and the volumes beside the truth."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.client import ServiceClient
from service.console import (
    COMPARTMENTS,
    REGIONS,
    cells,
    compartments,
    count_progress,
    show_files,
    show_flags,
)
from service.domain.findings import AnalysisReport, Compartments, FemurReport
from service.domain.jobs import JobOptions
from service.errors import ServiceError
from service.output_folder import filled_or_absent
from service.sample.generate import generate_sample
from service.sample.truth import SampleTruth
from service.submission import SubmitInterrupted, submit_and_fetch
from service.supervisor import STOP_TIMEOUT_S
from service.up import free_port

START_TIMEOUT_S = 120.0
"""A service that is not ready by then will not be."""

MANIFEST = ".femurct-demo"
"""Names what a demo left in its folder; a folder that holds anything else is left alone."""


def run_demo(out: Path, seed: int, console: Console) -> None:
    """Everything a user would do by hand, shown on the way.

    Args:
        out: the results; an earlier demo's are replaced once the new ones are there.
        seed: draws another body.
        console: where it is shown.

    Raises:
        FemurctError: as the commands that it stands for.
        FileExistsError: ``out`` holds something else than an earlier demo's files.
    """
    _earlier_files(out)
    with tempfile.TemporaryDirectory(prefix="femurct-demo-") as name:
        folder = Path(name)
        series = folder / "series.zip"
        console.rule("a hip CT series is generated (femurct sample)")
        with count_progress(console, "scanning", "slices") as show:
            generate_sample(series, seed, progress=show)
        truth_text = (folder / "series_truth" / "truth.json").read_text("utf-8")
        console.rule("API, worker and broker are started (femurct up)")
        with _service(folder / "data") as client:
            console.print(f"femurct is ready at {client.url}")
            console.rule("the series is submitted over HTTP (femurct submit)")
            began = time.monotonic()
            with filled_or_absent(out) as fresh:
                report = _submitted(client, series, fresh, console)
                names = sorted(path.name for path in fresh.iterdir())
                (fresh / MANIFEST).write_text("\n".join([MANIFEST, *names]) + "\n", "utf-8")
                for path in _earlier_files(out):
                    path.unlink()
            seconds = time.monotonic() - began
    show_comparison(console, report, SampleTruth.model_validate_json(truth_text))
    show_flags(console, report)
    console.print(f"from upload to the last file: {seconds:.0f} s")
    show_files(console, out)
    console.print(
        "the service is stopped; 'make serve' starts one, its API is described at /docs there"
    )


def _submitted(client: ServiceClient, series: Path, out: Path, console: Console) -> AnalysisReport:
    try:
        return submit_and_fetch(client, series, JobOptions(), out, console)
    except SubmitInterrupted:
        # the demo's own service goes, with the job and its files
        raise KeyboardInterrupt from None


def _earlier_files(out: Path) -> tuple[Path, ...]:
    """What an earlier demo left; empty where there is no folder, or nothing in it.

    Raises:
        FileExistsError: somebody else's file lies there.
    """
    found = tuple(out.iterdir()) if out.exists() else ()
    manifest = out / MANIFEST
    names = manifest.read_text("utf-8").splitlines() if manifest.is_file() else []
    if any(path.name not in names or path.is_dir() for path in found):
        raise FileExistsError(f"{out} holds files that no demo left; name another with --out")
    return found


def show_comparison(console: Console, report: AnalysisReport, truth: SampleTruth) -> None:
    """A table of measured and true volumes per side and region, with the difference."""
    table = Table(title="Measured volume / true volume in cm³ (difference)", title_justify="left")
    table.add_column("side")
    table.add_column("region")
    for name in COMPARTMENTS:
        table.add_column(name, justify="right")
    measured = {femur.side: femur for femur in report.femurs}
    for true in truth.femurs:
        for region in REGIONS:
            expected: Compartments | None = getattr(true.volumes_cm3, region)
            found = _of(measured.get(true.side), region)
            side = true.side.value if region == REGIONS[0] else ""
            table.add_row(side, region, *_compared(found, expected))
        table.add_section()
    console.print(table)


def _of(femur: FemurReport | None, region: str) -> Compartments | None:
    return None if femur is None else compartments(femur, region)


def _compared(found: Compartments | None, true: Compartments | None) -> Iterator[str]:
    shown = zip(COMPARTMENTS, cells(found), cells(true), strict=True)
    for name, measured_text, true_text in shown:
        text = f"{measured_text} / {true_text}"
        measured, expected = getattr(found, name, None), getattr(true, name, None)
        if measured is not None and expected:
            text += f" ({measured / expected - 1:+.1%})"
        yield text


@contextmanager
def _service(data_dir: Path) -> Iterator[ServiceClient]:
    """``femurct up`` on a free port while the block runs; its log is shown if it fails."""
    port = free_port()
    data_dir.mkdir()
    log = data_dir / "up.log"
    environment = {**os.environ, "FEMURCT_HOST": "127.0.0.1", "FEMURCT_API_KEYS": ""}
    for name in ("REDIS_URL", "FEMURCT_REDIS_URL"):
        environment.pop(name, None)
    command = (sys.executable, "-m", "service.cli", "up")
    options = ("--port", str(port), "--data-dir", str(data_dir))
    with log.open("wb") as file:
        child = subprocess.Popen(
            [*command, *options], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        with ServiceClient(f"http://127.0.0.1:{port}") as client:
            _wait_until_ready(client, child, log)
            yield client
    finally:
        child.terminate()
        try:
            child.wait(2 * STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_ready(client: ServiceClient, child: subprocess.Popen[bytes], log: Path) -> None:
    given_up_at = time.monotonic() + START_TIMEOUT_S
    while not client.is_ready():
        if child.poll() is not None or time.monotonic() > given_up_at:
            lines = log.read_text("utf-8", errors="replace").splitlines()
            raise ServiceError(f"the service did not start: {' | '.join(lines[-3:])}")
        time.sleep(0.2)
