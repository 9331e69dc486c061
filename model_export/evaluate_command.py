"""``python -m model_export evaluate``: the paper's tables and figures of two networks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from pydantic import TypeAdapter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model_export.cases import CaseError, load_case
from model_export.config import Role
from model_export.dice_fit import DiceFits, doubt_sentences, fit_all
from model_export.evaluation import (
    Cascade,
    EndostealInput,
    FemurScore,
    evaluate_case,
    grid_of,
)
from service import __version__
from service.domain.findings import FemurSide
from service.domain.imaging import FemurMasks
from service.domain.ports import PatchPredictor
from service.domain.window import MAX_STRIDE_Z
from service.pipeline.cascade import Networks

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "service" / "weights"

REPORT_NAME = "evaluation.md"
FITS_NAME = "dice_fits.json"

SCORES_FORMAT = 2
"""Raised whenever a figure of ``scores/`` is added or computed anew; older ones are not reused."""

CAVEAT = """Rows of the paper stand beside ours, not against them: the cases differ, and so do the
regions. The paper's head and neck are those of Mindways' software, which are not public; ours are
`regions/v1` (docs/regions.md), whose neck is longer. The neck slab holds, in the reference, the
paper's mean neck volume (6.83 cm3) about the neck centre, and the same slab is cut from the found
mask, so that errors of landmarks are left out of its relative error; the paper's neck may hold such
errors. Phantoms are phantoms; nothing here is validated for clinical use.

Scores count only voxels whose reference is trusted, less the outermost of each case; a volume
counts where all of it is trusted in the reference. ± is the standard deviation over femurs. How
each figure is made: docs/evaluation.md."""


def evaluate(
    cases: Annotated[Path, typer.Option(help="Folder of prepared cases (*.npz).")],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and masks.")],
    periosteal: Annotated[
        Path, typer.Option(help="ONNX file, or folder of a run.")
    ] = SHIPPED_WEIGHTS / "periosteal.onnx",
    endosteal: Annotated[
        Path, typer.Option(help="ONNX file, or folder of a run.")
    ] = SHIPPED_WEIGHTS / "endosteal.onnx",
    stride_z: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_STRIDE_Z, help="Slices between windows of 64; 1: the paper's."),
    ] = None,
    endosteal_input: Annotated[
        EndostealInput, typer.Option(help="`cropped` is the paper's comparison.")
    ] = "masked",
) -> None:
    """Score both networks as production runs them: the paper's tables and figures; resumable."""
    from model_export.onnx_export import weights_sha256
    from model_export.predictor import open_predictor

    networks = Networks(
        open_predictor(periosteal, "periosteal"), _open_endosteal(endosteal, endosteal_input)
    )
    cascade = Cascade(networks, stride_z, endosteal_input)
    paths = sorted(cases.glob("*.npz"))
    if not paths:
        raise CaseError(f"no case in {cases}; `prepare` writes them")
    scores = tuple(_scored(paths, cascade, out))
    weights: dict[Role, str] = {
        "periosteal": weights_sha256(periosteal),
        "endosteal": weights_sha256(endosteal),
    }
    fits = fit_all(scores, weights, stride_z)
    (out / FITS_NAME).write_text(fits.model_dump_json(indent=2))
    _write_tables(scores, cascade, fits, out)
    _draw_figures(scores, cases, out)
    typer.echo((out / REPORT_NAME).read_text())


def _open_endosteal(path: Path, endosteal_input: EndostealInput) -> PatchPredictor:
    """The endosteal network, which must have been trained on what it will see."""
    from model_export.checkpoint import RunError
    from model_export.predictor import TorchPredictor, open_predictor

    if endosteal_input == "masked":
        return open_predictor(path, "endosteal")
    if path.suffix == ".onnx":
        raise RunError(f"{path} sees the masked CT; --endosteal-input cropped needs a run on it")
    predictor = TorchPredictor(path)
    config = predictor.config
    if config.role != "endosteal" or config.endosteal_input != endosteal_input:
        raise RunError(
            f"{path} finds the {config.role} surface by configuration {config.name}; needed: an "
            "endosteal run on the cropped CT, such as configuration paper-cropped"
        )
    return predictor


def _scored(paths: Sequence[Path], cascade: Cascade, out: Path) -> Iterator[FemurScore]:
    """Evaluates each case, keeps its masks and score in ``out`` and shows how far it is.

    A case scored before by the same cascade is not segmented again.
    """
    masks, kept = out / "masks", out / "scores"
    for folder in (masks, kept):
        folder.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("windows", total=None)
        total, done = 0, 0
        for number, path in enumerate(paths):
            kept_path, key = kept / f"{path.stem}.json", _key(path, cascade)
            known = _kept_score(kept_path, key)
            if known is not None and (masks / path.name).exists():
                yield known
                continue
            case = load_case(path)
            windows = cascade.windows(case)
            before = total
            total += windows
            done += 1
            # cases yet to come are taken to be as long as those so far
            to_come = (len(paths) - number - 1) * total / done
            progress.update(task, total=total + to_come, description=case.name)
            found, score = evaluate_case(case, cascade, lambda: progress.advance(task))
            # never these masks beside another cascade's score
            kept_path.unlink(missing_ok=True)
            _save_masks(found, masks / path.name)
            _keep_score(score, kept_path, key)
            progress.update(task, completed=before + windows)
            yield score


def _key(path: Path, cascade: Cascade) -> str:
    """Hexadecimal digest of all that a case's score follows from."""
    with path.open("rb") as file:
        case = hashlib.file_digest(file, "sha256").hexdigest()
    first, second = cascade.networks.periosteal, cascade.networks.endosteal
    parts = (
        SCORES_FORMAT,
        case,
        first.sha256,
        second.sha256,
        first.provider,
        second.provider,
        cascade.stride_z,
        cascade.endosteal_input,
    )
    return hashlib.sha256(repr((__version__, *parts)).encode()).hexdigest()


def _keep_score(score: FemurScore, path: Path, key: str) -> None:
    """Writes a score, in place when whole."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"key": key, "score": asdict(score)}))
    partial.replace(path)


def _kept_score(path: Path, key: str) -> FemurScore | None:
    """The score that was written there under this key."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return TypeAdapter(FemurScore).validate_python(kept["score"]) if kept["key"] == key else None


def _save_masks(found: FemurMasks, path: Path) -> None:
    """Writes both masks, in place when whole."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, periosteal=found.periosteal, endosteal=found.endosteal)
    partial.replace(path)


def _write_tables(
    scores: Sequence[FemurScore], cascade: Cascade, fits: DiceFits, out: Path
) -> None:
    from model_export.result_tables import cases_table, seconds_sentence, table_1, table_2

    first, second = table_1(scores), table_2(scores)
    first.write_csv(out / "table_1.csv")
    second.write_csv(out / "table_2.csv")
    cases_table(scores).write_csv(out / "cases.csv")
    networks = (cascade.networks.periosteal, cascade.networks.endosteal)
    models = "; ".join(f"{n.contract.role} `{n.sha256[:16]}` ({n.provider})" for n in networks)
    windows = f"Stride {cascade.stride_z}" if cascade.stride_z else "Deep windows"
    sections = (
        f"# Evaluation on {len(scores)} femurs",
        f"Cases: {_kinds(scores)}. Networks: {models}. {windows}; the endosteal "
        f"network sees the {cascade.endosteal_input} CT.",
        CAVEAT,
        "## Table 1. Surfaces",
        first.markdown(),
        "## Table 2. Volumes",
        second.markdown(),
        seconds_sentence(scores, networks[0].provider),
        "## Doubt",
        doubt_sentences(fits),
    )
    (out / REPORT_NAME).write_text("\n\n".join(sections) + "\n")


def _kinds(scores: Sequence[FemurScore]) -> str:
    kinds = [score.kind for score in scores]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _draw_figures(scores: Sequence[FemurScore], cases: Path, out: Path) -> None:
    from model_export.figures import (
        ShownFemur,
        draw_contours,
        draw_doubts,
        draw_relative_errors,
        femurs_to_show,
    )
    from model_export.surface_figures import draw_distance_errors, draw_surfaces

    draw_doubts(scores, out / "doubt.png")
    draw_relative_errors(scores, out / "figure_8_relative_errors.png")
    shown = []
    for name in femurs_to_show(scores):
        case = load_case(cases / f"{name}.npz")
        with np.load(out / "masks" / f"{name}.npz") as found:
            masks = FemurMasks(
                FemurSide.LEFT, found["periosteal"], found["endosteal"], grid_of(case)
            )
        shown.append(ShownFemur(case, masks))
    if not shown:
        typer.echo("no femur was found: figures 3 to 6 are not drawn", err=True)
        return
    draw_contours(shown, out / "figure_3_periosteal_contours.png", endosteal=False)
    draw_contours(shown, out / "figure_4_endosteal_contours.png", endosteal=True)
    draw_surfaces(shown, out / "figure_5_surfaces.png")
    draw_distance_errors(shown, out / "figure_6_distance_errors.png")
