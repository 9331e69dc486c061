"""What the paper compares (section 5): U-Net against V-Net, cropped CT against masked CT.

Every arm has the same cases, budget, seed and so the same patches; only what it names differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model_export.case_sets import CaseSets, subject_of, used_by
from model_export.cases import CaseError
from model_export.config import ConfigurationName, Role, TrainingConfig, named
from model_export.predictor import TorchPredictor
from model_export.schedule import Budget
from model_export.scoring import (
    MARKDOWN_COLUMNS,
    MARKDOWN_RULE,
    markdown_row,
    read_scores,
    score_case,
    write_scores,
)
from model_export.training import RunPlan, Trainer

Family = Literal["paper", "cpu"]


@dataclass(frozen=True)
class Arm:
    """One training of the comparison.

    Attributes:
        label: of its row.
        folder: of its run, within the output.
        config: what it is trained with.
        paper_dice: the paper's DSC on its own data (sections 3 and 5).
    """

    label: str
    folder: str
    config: TrainingConfig
    paper_dice: float


@dataclass(frozen=True)
class AblationPlan:
    """What all arms share.

    Attributes:
        cases: to train on.
        held_out: to score on, never trained on.
        out: folder of the runs and of ``ablation.md``.
        budget: of each arm.
    """

    cases: CaseSets
    held_out: tuple[Path, ...]
    out: Path
    budget: Budget


_ARMS: tuple[tuple[str, str, Role, Literal["", "-unet", "-cropped"], float], ...] = (
    ("periosteal, V-Net", "periosteal_vnet", "periosteal", "", 0.9787),
    ("periosteal, U-Net", "periosteal_unet", "periosteal", "-unet", 0.9653),
    ("endosteal, V-Net, CT inside the periosteal mask", "endosteal_vnet", "endosteal", "", 0.9649),
    (
        "endosteal, U-Net, CT inside the periosteal mask",
        "endosteal_unet",
        "endosteal",
        "-unet",
        0.9376,
    ),
    ("endosteal, V-Net, cropped CT", "endosteal_cropped", "endosteal", "-cropped", 0.9256),
)


def arms_of(family: Family) -> tuple[Arm, ...]:
    """The paper's five trainings by the configurations of a family."""
    names: dict[str, ConfigurationName] = (
        {"": "paper", "-unet": "paper-unet", "-cropped": "paper-cropped"}
        if family == "paper"
        else {"": "cpu", "-unet": "cpu-unet", "-cropped": "cpu-cropped"}
    )
    return tuple(
        Arm(label, folder, named(names[variant], role), paper_dice)
        for label, folder, role, variant, paper_dice in _ARMS
    )


def ablate(
    arms: Sequence[Arm], plan: AblationPlan, train: Callable[[Trainer], bool]
) -> Path | None:
    """Trains and scores what is not yet; the table is written anew after each arm.

    Args:
        arms: see ``arms_of``.
        plan: see ``AblationPlan``.
        train: trains a run; false if it was stopped before its end.

    Returns:
        The table's path; None if stopped: call again to go on.

    Raises:
        RunError: if an arm's folder holds a run of another configuration.
        CaseError: if there is no case to train on, or a subject to score on is trained on.
    """
    seen = {subject_of(case) for case in (*plan.cases.train, *plan.cases.validation)}
    if leaked := sorted(seen & {subject_of(case) for case in plan.held_out}):
        raise CaseError(f"subjects to score on are trained on: {', '.join(leaked)}")
    if not plan.held_out:
        raise CaseError("there is no case to score on")
    table = plan.out / "ablation.md"
    done: list[Arm] = []
    for arm in arms:
        run = plan.out / arm.folder
        if not (run / "scores.csv").exists():
            trainer = Trainer(arm.config, RunPlan(plan.cases, run, plan.budget))
            if not train(trainer):
                return None
            predictor = TorchPredictor(run)
            held_out = used_by(arm.config, plan.held_out)
            write_scores([score_case(case, predictor) for case in held_out], run / "scores.csv")
        done.append(arm)
        table.write_text(_table(done, plan))
    return table


def _table(arms: Sequence[Arm], plan: AblationPlan) -> str:
    budget = plan.budget
    each = f"{budget.steps} steps" if budget.steps else f"{budget.minutes:g} minutes"
    lines = [
        "# Ablations of the paper under one budget",
        "",
        f"Each arm: configurations of the `{arms[0].config.name}` family, {each}, "
        f"{len(plan.cases.train)} cases, the same seed. Scored on {len(plan.held_out)} femurs "
        "never trained on, whole, by sliding window and Otsu. An endosteal network is scored "
        "alone: that of the masked CT is given the reference's periosteal mask. The paper's "
        "figures are of its own data and stand beside, not against. Nothing here is validated for "
        "clinical use.",
        "",
        f"| Arm | paper DSC | {MARKDOWN_COLUMNS}",
        f"| --- | --- | {MARKDOWN_RULE}",
    ]
    for arm in arms:
        scores = read_scores(plan.out / arm.folder / "scores.csv")
        lines.append(f"| {arm.label} | {arm.paper_dice:.4f} | {markdown_row(scores)}")
    return "\n".join([*lines, ""])
