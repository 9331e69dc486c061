"""The ``femurct`` command: every subcommand parses, makes its calls, and shows what came back.

Exit codes: 0 done; 2 the series cannot be used (one line ``error: CODE: sentence`` on standard
error, and no results folder); 3 the service cannot be reached or refuses; 64 wrong usage; 1
anything else. Heavy imports stand in the commands, so that ``femurct --help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.cli_options import (
    CalibrationFile,
    ExpectedInstances,
    OutFolder,
    ResampleGaps,
    SeriesUid,
    SeriesZip,
    Stride,
    job_options,
)
from service.cohort import table
from service.errors import FemurctError, InputError, ModelError, ServiceError

if TYPE_CHECKING:
    from rich.console import Console

    from service.domain.findings import AnalysisReport
    from service.settings import Settings

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_SERVICE = 3
EXIT_USAGE = 64
PARSER_USAGE = 2
PARSER_INTERRUPTED = 130
"""What the parser exits with on wrong usage and on Ctrl-C; 2 means something else here."""

DEBUG_VARIABLE = "FEMURCT_DEBUG"

app = typer.Typer(
    name="femurct",
    help="Periosteal and endosteal surfaces and regional volumes of the proximal femur from hip CT."
    " Research use only: not validated for clinical use.",
    epilog=f"Errors are one line; set {DEBUG_VARIABLE}=1 for tracebacks and warnings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def up(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 picks a free one.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder for jobs and the embedded broker's data.")
    ] = None,
) -> None:
    """Start API, worker and, without a Redis URL, an embedded broker; Ctrl-C stops all."""
    from service.up import run_all

    given = {"FEMURCT_PORT": port, "FEMURCT_DATA_DIR": data_dir}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    run_all(_settings(), _console())


@app.command()
def api() -> None:
    """Start the API alone; it needs a Redis URL and a data folder shared with the workers."""
    from service import bootstrap

    # the server has ended in order when it raises this
    with suppress(KeyboardInterrupt):
        bootstrap.run_api(_settings())


@app.command()
def worker() -> None:
    """Start one worker alone; it needs a Redis URL and a data folder shared with the API."""
    from service import bootstrap

    raise typer.Exit(bootstrap.run_worker(_settings()))


@app.command()
def run(
    series: SeriesZip,
    out: OutFolder,
    stride: Stride = None,
    series_uid: SeriesUid = None,
    expected_instances: ExpectedInstances = None,
    resample_gaps: ResampleGaps = False,
    calibration: CalibrationFile = None,
) -> None:
    """Analyse a series in this process, without a service."""
    from service import bootstrap
    from service.console import stage_progress
    from service.output_folder import filled_or_absent

    _check_unused(out)
    options = job_options(stride, series_uid, expected_instances, resample_gaps, calibration)
    settings, console = _settings(), _console()
    with filled_or_absent(out) as folder, stage_progress(console) as show:
        report = bootstrap.analyse_archive(
            series,
            folder,
            settings=settings,
            networks=lambda: bootstrap.load_networks(settings),
            options=options,
            listener=show,
        )
    _show(report, out)


@app.command()
def submit(
    series: SeriesZip,
    out: OutFolder,
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:8000",
    api_key: Annotated[
        str | None, typer.Option(envvar="FEMURCT_API_KEY", help="Key, where it asks for one.")
    ] = None,
    stride: Stride = None,
    series_uid: SeriesUid = None,
    expected_instances: ExpectedInstances = None,
    resample_gaps: ResampleGaps = False,
    calibration: CalibrationFile = None,
) -> None:
    """Analyse a series through a service, and fetch the same files as 'run' leaves."""
    from service.client import ServiceClient
    from service.submission import submit_and_fetch

    _check_unused(out)
    options = job_options(stride, series_uid, expected_instances, resample_gaps, calibration)
    with ServiceClient(url, api_key) as client:
        report = submit_and_fetch(client, series, options, out, _console())
    _show(report, out)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", dir_okay=False)],
    seed: Annotated[int, typer.Option(min=0, help="Draws another body.")] = 0,
) -> None:
    """Write a generated hip CT series, with its truth in OUT_truth/ beside it."""
    from service.console import count_progress
    from service.sample.generate import generate_sample

    console = _console()
    with count_progress(console, "scanning", "slices") as show:
        generate_sample(out, seed, progress=show)
    console.print(str(out), soft_wrap=True)


@app.command()
def models() -> None:
    """List the network files with their contracts and SHA-256."""
    from service.adapters.model_files import read_models
    from service.console import show_models

    folder = _settings().weights_dir
    if not any(folder.glob("*.onnx")):
        raise ModelError(f"found no network files (*.onnx) in {folder}")
    show_models(_console(), read_models(folder))


@app.command()
def doctor() -> None:
    """Check what femurct needs on this machine; ends with a verdict."""
    from service.console import show_checks
    from service.doctor import examine

    if not show_checks(_console(), examine(_settings())):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Replaced by the demo's files.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Draws another body.")] = 0,
) -> None:
    """Start a service, submit a generated hip CT, show the volumes beside the truth."""
    from service.demo import run_demo

    run_demo(out, seed, _console())


app.command()(table)


def main() -> None:
    """Run the command line and exit with a code of this module's docstring."""
    # SIGTERM cleans up as Ctrl-C does
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not _is_debugging():
        # standard error is for the one line of an error
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        app()
    except SystemExit as ending:
        if ending.code == PARSER_INTERRUPTED:
            _fail(KeyboardInterrupt())
        sys.exit(EXIT_USAGE if ending.code == PARSER_USAGE else ending.code)
    except Exception as error:
        if _is_debugging():
            traceback.print_exc()
        _fail(error)


def exit_code(error: BaseException) -> int:
    """The process's exit code for what a command raised."""
    if isinstance(error, InputError):
        return EXIT_UNUSABLE
    if isinstance(error, ServiceError):
        return EXIT_SERVICE
    return EXIT_FAILED


def _fail(error: BaseException) -> NoReturn:
    print(_line(error), file=sys.stderr)
    sys.exit(exit_code(error))


def _line(error: BaseException) -> str:
    if isinstance(error, FemurctError):
        sentence = f"{error.code}: {error.detail}"
    elif isinstance(error, KeyboardInterrupt):
        sentence = "interrupted: stopped before the end, nothing was left behind"
    elif isinstance(error, OSError):
        sentence = f"io_error: {error}"
    else:
        sentence = (
            f"internal_error: {type(error).__name__}: {error}; "
            f"run again with {DEBUG_VARIABLE}=1 for the traceback"
        )
    return "error: " + " ".join(sentence.split())


def _is_debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def _settings() -> Settings:
    """Read the environment.

    Raises:
        FemurctError: ``bad_setting``, naming every variable that is wrong.
    """
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"FEMURCT_{'_'.join(map(str, fault['loc'])).upper() or 'settings'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise FemurctError(faults, code="bad_setting") from None


def _check_unused(out: Path) -> None:
    from service.output_folder import is_usable

    if not is_usable(out):
        raise typer.BadParameter(
            f"{out} exists and is not an empty folder; name another", param_hint="--out"
        )


def _show(report: AnalysisReport, out: Path) -> None:
    from service.console import show_files, show_report

    console = _console()
    show_report(console, report)
    show_files(console, out)


def _console() -> Console:
    from service.console import make_console

    return make_console()


if __name__ == "__main__":
    main()
