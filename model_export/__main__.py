"""``python -m model_export``: from annotated femurs to published networks."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from model_export.annotated_series import VALIDATION_SERIES, annotated_series
from model_export.case_sets import CaseSets, case_files
from model_export.cases import CaseError, to_training_case
from model_export.config import ConfigurationName, Role, named
from model_export.evaluate_command import SHIPPED_WEIGHTS, evaluate
from model_export.phantom_command import phantom
from service.errors import FemurctError

DEFAULT_CASES = Path(tempfile.gettempdir()) / "femurct-train" / "cases"
DEFAULT_DATA = Path("../shared/data")

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__
)

RoleOption = Annotated[Role, typer.Option(help="The surface the network finds.")]
ConfigOption = Annotated[ConfigurationName, typer.Option(help="Named configuration.")]
StepsOption = Annotated[int | None, typer.Option(help="Budget of a run in steps.")]
MinutesOption = Annotated[float | None, typer.Option(help="Budget of a run in minutes.")]


@app.command()
def prepare(
    out: Annotated[Path, typer.Option(help="Folder for the cases.")] = DEFAULT_CASES,
    own: Annotated[
        Path | None, typer.Option("--from", help="Folder of your own cases; then only these.")
    ] = None,
    phantoms: Annotated[int, typer.Option(help="Phantoms to train on; two femurs each.")] = 40,
    validation_phantoms: Annotated[int, typer.Option(help="At most 10.", max=10)] = 2,
    annotated: Annotated[bool, typer.Option(help="Also the annotated real series.")] = True,
) -> None:
    """Write cases; those already there are kept."""
    if own is not None:
        _prepare_own(own, out)
        return
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


def _prepare_own(own: Path, out: Path) -> None:
    """Writes every case that can be used, then fails if any was refused."""
    from model_export.user_cases import sources_in

    refused = 0
    for source in sources_in(own):
        try:
            if isinstance(source, CaseError):
                raise source
            if not (out / f"{source.name}.npz").exists():
                typer.echo(to_training_case(source).save(out))
        except CaseError as error:
            refused += 1
            typer.echo(f"refused: {error.detail}", err=True)
    if refused:
        raise CaseError(f"{refused} cases of {own} are refused, see above; the others are written")


@app.command()
def train(
    role: RoleOption,
    run: Annotated[Path, typer.Option(help="Folder of the run; resumed if it holds one.")],
    cases: Annotated[
        Path, typer.Option(help="Folder written by `prepare`: of cases, or of train/validation/.")
    ] = DEFAULT_CASES,
    config: ConfigOption = "paper",
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    init: Annotated[
        Path | None, typer.Option(help="Run, or published ONNX file, to take first weights from.")
    ] = None,
) -> None:
    """Train a network; a terminated run loses no step and goes on when called again."""
    from model_export.progress import train_with_progress
    from model_export.schedule import asked_budget
    from model_export.training import RunPlan, Trainer

    plan = RunPlan(CaseSets.of_folder(cases), run, asked_budget(steps, minutes), init)
    train_with_progress(Trainer(named(config, role), plan))


@app.command(name="cross-validate")
def cross_validate(
    role: RoleOption,
    cases: Annotated[Path, typer.Option(help="Folder of cases, as `prepare --from` writes it.")],
    out: Annotated[
        Path, typer.Option(help="Folder of both roles: the split, and ROLE/ with the folds.")
    ],
    config: ConfigOption = "paper",
    folds: Annotated[int, typer.Option(help="On the 85 % of subjects not kept for testing.")] = 10,
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
) -> None:
    """Set 15 % of the subjects aside, train folds on the rest, choose the best; resumable."""
    from model_export import cross_validation
    from model_export.progress import train_with_progress
    from model_export.schedule import asked_budget

    config_of_role, budget = named(config, role), asked_budget(steps, minutes)
    task = cross_validation.CrossValidation(
        case_files(cases), out / role, config_of_role, budget, folds, seed
    )
    summary = cross_validation.cross_validate(task, train_with_progress)
    typer.echo(summary.read_text() if summary else "stopped; call again to go on")


@app.command()
def ablate(
    cases: Annotated[Path, typer.Option(help="Folder of train/ and validation/.")],
    held_out: Annotated[Path, typer.Option(help="Folder of cases to score on.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs and the table.")],
    steps: Annotated[int, typer.Option(min=1, help="Budget of each run.")],
    paper: Annotated[bool, typer.Option(help="The paper's configurations, not the CPU's.")] = False,
) -> None:
    """Train and score the paper's comparisons under one budget; resumed when called again."""
    from model_export import ablation
    from model_export.progress import train_with_progress

    plan = ablation.AblationPlan(CaseSets.of_folder(cases), case_files(held_out), out, steps)
    arms = ablation.arms_of("paper" if paper else "cpu")
    table = ablation.ablate(arms, plan, train_with_progress)
    typer.echo(table.read_text() if table else "stopped; call again to go on")


@app.command()
def export(
    run: Annotated[Path, typer.Option(help="Folder of the run, or its checkpoint file.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to publish.")],
    dice_fits: Annotated[
        Path | None, typer.Option(help="`dice_fits.json` of an evaluation of this network.")
    ] = None,
) -> None:
    """Write the network as ONNX if ONNX Runtime computes what torch does."""
    from model_export.checkpoint import load_checkpoint, model_file
    from model_export.dice_fit import read_fit
    from model_export.onnx_export import publish, weights_sha256

    fit = None
    if dice_fits is not None:
        role = load_checkpoint(model_file(run)).config().role
        fit = read_fit(dice_fits, role, weights_sha256(run))
    difference = publish(run, out, fit)
    typer.echo(f"{out}: largest difference between torch and ONNX Runtime {difference:.1e}")


@app.command()
def calibrate(
    network: Annotated[Path, typer.Option(help="A published ONNX file; replaced.")],
    cases: Annotated[
        Path, typer.Option(help="Folder of cases, or of train/, that no result is reported on.")
    ],
) -> None:
    """Measure what int8 needs to know of a network's values and write it into its file."""
    from model_export import calibration

    bounds = calibration.calibrate(network, CaseSets.of_folder(cases).train).int8_bounds
    typer.echo(f"{network}: {len(bounds)} tensors on int8")


@app.command(name="pseudo-label")
def pseudo_label(
    series: Annotated[list[Path], typer.Argument(help="Zips of DICOM files, a series each.")],
    out: Annotated[Path, typer.Option(help="Folder for the cases.")],
    weights: Annotated[Path, typer.Option(help="Folder of both ONNX files.")] = SHIPPED_WEIGHTS,
) -> None:
    """Write the networks' masks, snapped to the CT's edges, as cases to look at and train on."""
    from model_export.predictor import open_predictor
    from model_export.pseudo_labels import pseudo_labels
    from service.pipeline.cascade import Networks

    networks = Networks(
        open_predictor(weights / "periosteal.onnx", "periosteal"),
        open_predictor(weights / "endosteal.onnx", "endosteal"),
    )
    refused = 0
    for archive in series:
        try:
            folders = list(pseudo_labels(archive, networks, out))
        except FemurctError as error:
            refused += 1
            typer.echo(f"refused: {archive}: {error.detail}", err=True)
            continue
        for folder in folders:
            typer.echo(folder)
        if not folders:
            typer.echo(f"no femur found in {archive}", err=True)
    if refused:
        raise CaseError(f"{refused} of {len(series)} series are refused, see above")


app.command()(evaluate)
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
