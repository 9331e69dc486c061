"""``python -m model_export prepare | train | export``."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model_export.annotated_series import VALIDATION_SERIES, annotated_series
from model_export.cases import to_training_case
from model_export.config import ConfigurationName, Role, named
from model_export.phantom_command import phantom
from service.errors import FemurctError

DEFAULT_CASES = Path(tempfile.gettempdir()) / "femurct-train" / "cases"
DEFAULT_DATA = Path("../shared/data")

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__
)


@app.command()
def prepare(
    out: Annotated[Path, typer.Option(help="Folder for the cases.")] = DEFAULT_CASES,
    phantoms: Annotated[int, typer.Option(help="Phantoms to train on; two femurs each.")] = 40,
    validation_phantoms: Annotated[int, typer.Option(help="At most 10.", max=10)] = 2,
    annotated: Annotated[bool, typer.Option(help="Also the annotated real series.")] = True,
) -> None:
    """Write training and validation cases; those already there are kept."""
    from model_export.phantom_cases import TRAINING_SEED, VALIDATION_SEED, write_phantoms

    data = Path(os.environ.get("FEMURCT_DATA", DEFAULT_DATA))
    if annotated:
        for source in annotated_series(data):
            folder = out / ("validation" if source.name in VALIDATION_SERIES else "train")
            if not (folder / f"{source.name}.npz").exists():
                typer.echo(to_training_case(source).save(folder))
    for first, count, name in (
        (VALIDATION_SEED, validation_phantoms, "validation"),
        (TRAINING_SEED, phantoms, "train"),
    ):
        for path in write_phantoms(range(first, first + count), out / name):
            typer.echo(path)


@app.command()
def train(
    role: Annotated[Role, typer.Option(help="The surface the network finds.")],
    run: Annotated[Path, typer.Option(help="Folder of the run; resumed if it holds one.")],
    cases: Annotated[Path, typer.Option(help="Folder written by `prepare`.")] = DEFAULT_CASES,
    config: Annotated[ConfigurationName, typer.Option(help="Named configuration.")] = "paper",
    steps: Annotated[int | None, typer.Option(help="Budget in steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes.")] = None,
    init: Annotated[Path | None, typer.Option(help="Run to take first weights from.")] = None,
) -> None:
    """Train a network; a terminated run loses no step and goes on when called again."""
    from model_export.training import Budget, RunPlan, Trainer

    stop: list[int] = []

    def request_stop(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    plan = RunPlan(cases, run, Budget(steps, minutes), init)
    trainer = Trainer(named(config, role), plan)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("first step", total=1.0)
        for point in trainer.train(lambda: bool(stop)):
            used = plan.budget.share_used(point.step, trainer.seconds)
            progress.update(
                task, completed=used, description=f"step {point.step} loss {point.loss:.3f}"
            )
            if point.dice_real is not None or point.dice_phantom is not None:
                progress.console.print(point)


@app.command()
def export(
    run: Annotated[Path, typer.Option(help="Folder of the run.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to publish.")],
) -> None:
    """Write the network as ONNX if ONNX Runtime computes what torch does."""
    from model_export.onnx_export import publish

    difference = publish(run, out)
    typer.echo(f"{out}: largest difference between torch and ONNX Runtime {difference:.1e}")


app.command()(phantom)


def main() -> int:
    """Runs a subcommand; an error of ours is one line and exit code 2."""
    try:
        app()
    except FemurctError as error:
        typer.echo(f"error: {error.code}: {error.detail}", err=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
