"""The paper's protocol (sections 2.1, 2.4): 15 % of the subjects set aside, ten folds on the rest.

OUT/../split.json    the split, which both roles share
OUT/plan.json        configuration and budget; a later call must ask for the same
OUT/fold_00 ...      a run each, and scores.csv of its validation cases
OUT/best.pt          the model of the fold with the highest mean DSC
OUT/test             links to the 15 %, for ``evaluate``
OUT/test_scores.csv  the best model on them
OUT/summary.md       all of it as tables
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from model_export.case_sets import CaseSets, subject_of, used_by
from model_export.cases import CaseError, load_case
from model_export.checkpoint import BEST_NAME, hold_to_plan, model_file
from model_export.config import Role, TrainingConfig
from model_export.evaluation import trusted_reference
from model_export.predictor import TorchPredictor
from model_export.schedule import Budget
from model_export.scoring import (
    MARKDOWN_COLUMNS,
    MARKDOWN_NOTE,
    MARKDOWN_RULE,
    CaseScore,
    markdown_row,
    mean_dice,
    read_scores,
    score_alone,
    write_scores,
)
from model_export.training import RunPlan, Trainer

TEST_SHARE = 0.15
"""Of the subjects, never trained on nor chosen by (paper, section 2.1)."""

PAPER_FOLDS = 10

SCORES_NAME = "scores.csv"


class Split(BaseModel):
    """Which subjects are tested on, and which each fold validates with; all others train."""

    model_config = ConfigDict(frozen=True)

    seed: int
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True)

    configuration: TrainingConfig
    steps: int | None
    minutes: float | None


@dataclass(frozen=True)
class CrossValidation:
    """What to validate, and where to write.

    Attributes:
        cases: all case files, test cases included; right femurs may be left out by the config.
        out: folder of the folds' runs and of the results; the folder above it holds the split, so
            that the runs of both roles in it set the same subjects aside.
        config: of every fold.
        budget: of every fold; None for the configuration's own.
        folds: 10 in the paper.
        seed: of the split.
    """

    cases: tuple[Path, ...]
    out: Path
    config: TrainingConfig
    budget: Budget | None = None
    folds: int = PAPER_FOLDS
    seed: int = 0


def split_subjects(subjects: Sequence[str], folds: int, seed: int) -> Split:
    """A random split; the same for the same set of subjects, in whatever order.

    Args:
        subjects: repeated for each femur.
        folds: at least 2.
        seed: of the draw.

    Raises:
        CaseError: if there are too few subjects for a test case and one in every fold.
    """
    distinct = sorted(set(subjects))
    tested = max(1, round(TEST_SHARE * len(distinct)))
    if folds < 2 or len(distinct) - tested < folds:
        raise CaseError(
            f"{len(distinct)} subjects, {tested} of them to test on, cannot make {folds} folds; "
            "add cases or ask for fewer folds, at least 2"
        )
    shuffled = [str(name) for name in np.random.default_rng(seed).permutation(distinct)]
    rest = np.array_split(np.array(shuffled[tested:]), folds)
    return Split(
        seed=seed,
        test=tuple(sorted(shuffled[:tested])),
        folds=tuple(tuple(sorted(str(name) for name in fold)) for fold in rest),
    )


def cross_validate(task: CrossValidation, train: Callable[[Trainer], bool]) -> Path | None:
    """Trains what is not trained yet, scores, chooses.

    Args:
        task: see ``CrossValidation``.
        train: trains a run; false if it was stopped before its end.

    Returns:
        The summary's path; None if stopped: call again to go on.

    Raises:
        RunError: if the folder was begun with another configuration or budget, or the one above it
            with other cases, folds or seed.
        CaseError: for too few subjects, a case that cannot be read, or a fold without a case whose
            reference may be trusted.
    """
    task = replace(task, cases=used_by(task.config, task.cases))
    split = split_subjects([subject_of(c) for c in task.cases], task.folds, task.seed)
    _begin(task, split)
    for subjects in (*split.folds, split.test):
        _require_scorable(_of_subjects(task.cases, subjects), task.config.role)
    folds, means = [], []
    for number, validation in enumerate(split.folds):
        fold = task.out / f"fold_{number:02d}"
        if not (fold / SCORES_NAME).exists():
            held_out = _of_subjects(task.cases, validation)
            kept_away = {*held_out, *_of_subjects(task.cases, split.test)}
            sets = CaseSets(tuple(c for c in task.cases if c not in kept_away), held_out)
            if not train(Trainer(task.config, RunPlan(sets, fold, task.budget))):
                return None
            _score(held_out, fold, fold / SCORES_NAME)
        folds.append(read_scores(fold / SCORES_NAME))
        means.append(mean_dice(folds[-1]))
    chosen = int(np.argmax(means))
    shutil.copyfile(model_file(task.out / f"fold_{chosen:02d}"), task.out / BEST_NAME)
    _score(_of_subjects(task.cases, split.test), task.out / BEST_NAME, task.out / "test_scores.csv")
    summary = task.out / "summary.md"
    summary.write_text(_summary(task, folds, chosen))
    return summary


def _begin(task: CrossValidation, split: Split) -> None:
    """Writes down what is done, or checks that it is what was begun; links the test cases."""
    budget = task.budget
    plan = _Plan(
        configuration=task.config,
        steps=budget.steps if budget else None,
        minutes=budget.minutes if budget else None,
    )
    hold_to_plan(task.out.parent / "split.json", split)
    hold_to_plan(task.out / "plan.json", plan)
    test = task.out / "test"
    test.mkdir(parents=True, exist_ok=True)
    for case in _of_subjects(task.cases, split.test):
        link = test / case.name
        link.unlink(missing_ok=True)
        link.symlink_to(case.resolve())


def _of_subjects(cases: Sequence[Path], subjects: Sequence[str]) -> tuple[Path, ...]:
    return tuple(case for case in cases if subject_of(case) in subjects)


def _require_scorable(cases: Sequence[Path], role: Role) -> None:
    """Raises CaseError, before any training, if no case has a reference to score ``role`` on."""
    if not any(trusted_reference(load_case(case), role) for case in cases):
        names = ", ".join(case.stem for case in cases)
        raise CaseError(
            f"no case to score on has a {role} reference that may be trusted: {names}; choose "
            "another --seed or fewer folds, or add cases"
        )


def _score(cases: Sequence[Path], run: Path, out: Path) -> None:
    predictor = TorchPredictor(run)
    write_scores([score_alone(case, predictor) for case in cases], out)


def _summary(task: CrossValidation, folds: Sequence[Sequence[CaseScore]], chosen: int) -> str:
    test = read_scores(task.out / "test_scores.csv")
    note = (
        " The endosteal network is given the reference's periosteal mask."
        if task.config.role == "endosteal"
        else ""
    )
    lines = [
        f"# Cross-validation, {task.config.role} surface, configuration `{task.config.name}`",
        "",
        f"{len(task.cases)} femurs; {TEST_SHARE:.0%} of the subjects set aside, {len(folds)} folds "
        f"on the rest, seed {task.seed}. Whole cases by sliding window and Otsu.{note}",
        "",
        f"| Fold | {MARKDOWN_COLUMNS}",
        f"| --- | {MARKDOWN_RULE}",
        *(f"| {number} | {markdown_row(scores)}" for number, scores in enumerate(folds)),
        f"| **test**, model of fold {chosen} | {markdown_row(test)}",
        "",
        f"The model of fold {chosen} has the highest mean DSC on its own validation cases; it is "
        f"`best.pt`. {MARKDOWN_NOTE} Not validated for clinical use.",
        "",
    ]
    return "\n".join(lines)
