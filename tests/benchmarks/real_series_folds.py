"""Networks that saw phantoms alone, fine-tuned on two thirds of the real series, on the rest.

Each fold starts from the same two runs, has the same steps, and is scored on series that neither it
nor those runs were trained on, by the whole cascade and with the annotators' own trust map. Call it
again to go on; ``OUT/folds.md`` is the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer

from model_export.annotated_series import VALIDATION_SERIES, annotated_series
from model_export.case_sets import CaseSets, case_files, subject_of
from model_export.cases import CaseError, TrainingCase, load_case, to_training_case
from model_export.checkpoint import load_checkpoint, model_file
from model_export.config import ConfigurationName, Role, named
from model_export.evaluation import Cascade, evaluate_case
from model_export.onnx_export import publish
from model_export.predictor import open_predictor
from model_export.progress import train_with_progress
from model_export.schedule import Budget
from model_export.scoring import (
    MARKDOWN_COLUMNS,
    MARKDOWN_RULE,
    CaseScore,
    markdown_row,
    read_scores,
    write_scores,
)
from model_export.training import RunPlan, Trainer
from service.pipeline.cascade import Networks
from tests.reference_data import DATA

FOLDS = 3

FINE_TUNING: ConfigurationName = "cpu-settle"

PHANTOMS_ONLY = "phantom femurs"
"""How a checkpoint that saw nothing else ends its every count of cases."""

ROLES: tuple[Role, ...] = get_args(Role)


def real_folds(files: Sequence[Path]) -> tuple[tuple[Path, ...], ...]:
    """The real series in ``FOLDS`` parts, each with its share of proximal and of shaft series."""
    kinds = {path: load_case(path).kind for path in files}
    real = sorted((p for p in files if kinds[p] != "phantom"), key=lambda p: (kinds[p], p.stem))
    return tuple(tuple(real[first::FOLDS]) for first in range(FOLDS))


def require_phantoms_only(base: Path) -> None:
    """Raises CaseError where a run, or one that its weights are from, saw a real series."""
    cases = load_checkpoint(model_file(base)).cases
    if "series" in cases or "annotated" in cases or PHANTOMS_ONLY not in cases:
        raise CaseError(f"{base} was trained on {cases}; needed: a run on phantoms alone")


def held_out_cases(names: Sequence[str]) -> Iterator[TrainingCase]:
    """Those annotated series, with the annotators' own trust."""
    for source in annotated_series(DATA, trust_thin_cortex=True):
        if source.name in names:
            yield to_training_case(source)


def score_fold(networks: Networks, names: Sequence[str], out: Path) -> None:
    """Writes ``out/periosteal.csv`` and ``out/endosteal.csv``, a row for each series."""
    scores = [
        evaluate_case(case, Cascade(networks), lambda: None)[1] for case in held_out_cases(names)
    ]
    for role in ROLES:
        write_scores([CaseScore(s.name, getattr(s, role)) for s in scores], out / f"{role}.csv")


def table(out: Path) -> str:
    """Every series of every fold, then the means."""
    lines = []
    for role in ROLES:
        rows = [read_scores(out / f"fold_{n}" / f"{role}.csv") for n in range(FOLDS)]
        lines += [f"| {role}, series | fold | DSC | ASD mm |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {row.case} | {number} | {row.surface.dice:.4f} | {row.surface.asd_mm:.2f} |"
            for number, fold in enumerate(rows)
            for row in fold
            if row.surface
        ]
        lines += ["", f"| {role} | {MARKDOWN_COLUMNS}", f"| --- | {MARKDOWN_RULE}"]
        lines += [f"| all | {markdown_row([row for fold in rows for row in fold])}", ""]
    return "\n".join(lines)


def main(
    cases: Annotated[Path, typer.Argument(help="Folder of case files, phantoms and real series.")],
    out: Annotated[Path, typer.Argument(help="Folder for runs and results.")],
    periosteal: Annotated[Path, typer.Option(help="Run on phantoms alone.")],
    endosteal: Annotated[Path, typer.Option(help="Run on phantoms alone.")],
    periosteal_steps: Annotated[int, typer.Option(help="Of its fine-tuning.")] = 100,
    endosteal_steps: Annotated[int, typer.Option(help="Of its fine-tuning.")] = 100,
) -> None:
    """Fine-tune and score each fold."""
    bases: dict[Role, Path] = {"periosteal": periosteal, "endosteal": endosteal}
    steps: dict[Role, int] = {"periosteal": periosteal_steps, "endosteal": endosteal_steps}
    for base in bases.values():
        require_phantoms_only(base)
    files = [p for p in case_files(cases) if subject_of(p) not in VALIDATION_SERIES]
    for number, held_out in enumerate(real_folds(files)):
        fold = out / f"fold_{number}"
        sets = CaseSets(tuple(p for p in files if p not in held_out))
        for role, base in bases.items():
            plan = RunPlan(sets, fold / role, Budget(steps=steps[role]), base)
            if not train_with_progress(Trainer(named(FINE_TUNING, role), plan)):
                raise typer.Exit(code=1)
            publish(fold / role, fold / f"{role}.onnx")
        if not (fold / "endosteal.csv").exists():
            found = Networks(
                periosteal=open_predictor(fold / "periosteal.onnx", "periosteal"),
                endosteal=open_predictor(fold / "endosteal.onnx", "endosteal"),
            )
            score_fold(found, [path.stem for path in held_out], fold)
    (out / "folds.md").write_text(table(out))
    print(table(out))


if __name__ == "__main__":
    typer.run(main)
