"""What the commands show a person: bars and tables on a terminal, plain lines in a pipe.

All of it goes to standard output; standard error is kept for the one line of an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from service.doctor import Check
from service.domain.findings import AnalysisReport, Compartments, FemurReport
from service.domain.jobs import Stage
from service.domain.model_contract import ModelFile
from service.domain.ports import ProgressListener

PLAIN_LINES = 10
"""Without a terminal, progress within a stage is a line per tenth of the whole."""

REGIONS = ("head", "neck", "trochanter", "intertrochanter", "combination", "total")
"""Rows of the table, as in the report."""

COMPARTMENTS = ("integral", "cortical", "trabecular")
"""Columns of the table."""

PIPE_WIDTH = 120
"""Columns where there is no terminal to ask."""


def make_console() -> Console:
    """Standard output: colours and bars on a terminal, no control characters elsewhere."""
    return Console(
        width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, soft_wrap=False
    )


@contextmanager
def stage_progress(console: Console) -> Iterator[ProgressListener]:
    """Shows stage and units of work (windows) done of all."""
    if not console.is_terminal:
        yield _PlainStages(console)
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("windows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("waiting", total=None)

        def show(stage: Stage, done: int, total: int) -> None:
            progress.update(bar, description=stage.value, completed=done, total=total or None)

        yield show


class _PlainStages:
    """A line for every stage, and for every tenth of the work."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[Stage, int] | None = None

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        now = (stage, done * PLAIN_LINES // total if total else 0)
        if now == self._last:
            return
        self._last = now
        counted = f": {done} of {total} windows" if total else ""
        self._console.print(f"{stage.value}{counted}")


@contextmanager
def count_progress(console: Console, doing: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Shows units done of all; yields a function told (done, total)."""
    if not console.is_terminal:
        console.print(doing)
        yield lambda _done, _total: None
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(doing, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


@contextmanager
def upload_progress(console: Console, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Shows bytes sent of all; yields a function told the size of each step."""
    if not console.is_terminal:
        console.print(f"sending {total_bytes / 1e6:.1f} MB")
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("sending", total=total_bytes)
        yield lambda step: progress.advance(bar, step)


def show_report(console: Console, report: AnalysisReport) -> None:
    """The volumes of every femur as a table, then what the report warns of."""
    table = Table(title="Regional volumes in cm³", title_justify="left")
    table.add_column("side")
    table.add_column("region")
    for name in COMPARTMENTS:
        table.add_column(name, justify="right")
    for femur in report.femurs:
        for region in REGIONS:
            side = femur.side.value if region == REGIONS[0] else ""
            table.add_row(side, region, *cells(compartments(femur, region)))
        table.add_section()
    console.print(table)
    show_flags(console, report)
    console.print(report.notice)


def show_flags(console: Console, report: AnalysisReport) -> None:
    """What the report warns of, one line each."""
    for flag in report.flags:
        console.print(Text(f"{flag.severity}: {flag.code}: {flag.message}"))
    for femur in report.femurs:
        for flag in femur.flags:
            console.print(Text(f"{femur.side}: {flag.severity}: {flag.code}: {flag.message}"))


def show_checks(console: Console, checks: Iterable[Check]) -> bool:
    """Each check as it is made, then the verdict; whether all passed."""
    failed = []
    for check in checks:
        console.print(
            Text(f"{'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.found}")
        )
        if not check.passed:
            failed.append(check.name)
    if failed:
        console.print(f"verdict: femurct will not work well here: see {', '.join(failed)}")
    else:
        console.print("verdict: femurct can work here")
    return not failed


def show_models(console: Console, models: Iterable[ModelFile]) -> None:
    """A block of lines per network file."""
    for model in models:
        console.print(Text(f"{model.role}.onnx  SHA-256 {model.sha256}"), soft_wrap=True)
        for name, value in model.contract.model_dump(exclude={"role"}).items():
            console.print(Text(f"  {name}: {value}"), soft_wrap=True)


def show_files(console: Console, folder: Path) -> None:
    """The paths of what a command left behind, one a line."""
    for path in sorted(folder.iterdir()):
        console.print(Text(str(path)), soft_wrap=True)


def compartments(femur: FemurReport, region: str) -> Compartments | None:
    """The volumes of the region of that name; None where it could not be bounded."""
    volumes: Compartments | None = getattr(femur.volumes_cm3, region)
    return volumes


def cells(volumes: Compartments | None) -> tuple[str, str, str]:
    """Integral, cortical and trabecular volume for a table; a dash where one is unknown."""
    if volumes is None:
        return ("-", "-", "-")
    integral, cortical, trabecular = (
        "-" if cm3 is None else f"{cm3:.2f}"
        for cm3 in (volumes.integral, volumes.cortical, volumes.trabecular)
    )
    return (integral, cortical, trabecular)
