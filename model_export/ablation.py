"""What the paper compares (section 5): U-Net against V-Net, cropped CT against masked CT.

Every arm has the same cases, steps and seed. Both endosteal inputs are scored in the cascade with
the periosteal V-Net just trained, and the finds of both are cut to the periosteal mask it found.

OUT/plan.json         what is compared; a later call must ask for the same
OUT/periosteal_vnet   a run for each arm, and its scores.csv
OUT/ablation.md       the table
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from model_export.case_sets import CaseSets, subject_of, used_by
from model_export.cases import CaseError
from model_export.checkpoint import hold_to_plan
from model_export.config import DEPARTURES, ConfigurationName, Role, TrainingConfig, named
from model_export.evaluation import Cascade
from model_export.predictor import TorchPredictor
from model_export.schedule import Budget
from model_export.scoring import (
    MARKDOWN_COLUMNS,
    MARKDOWN_NOTE,
    MARKDOWN_RULE,
    CaseScore,
    markdown_row,
    read_scores,
    score_alone,
    score_endosteal,
    write_scores,
)
from model_export.training import RunPlan, Trainer
from service.pipeline.cascade import Networks

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
        steps: of each arm; minutes would favour the arm whose step is faster.
    """

    cases: CaseSets
    held_out: tuple[Path, ...]
    out: Path
    steps: int


class _WrittenPlan(BaseModel):
    model_config = ConfigDict(frozen=True)

    configurations: tuple[TrainingConfig, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    held_out: tuple[str, ...]
    steps: int


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
        arms: see ``arms_of``; the first is the periosteal network that endosteal arms follow.
        plan: see ``AblationPlan``.
        train: trains a run; false if it was stopped before its end.

    Returns:
        The table's path; None if stopped: call again to go on.

    Raises:
        RunError: if the folder was begun with other arms, cases or steps.
        CaseError: if there is no case to train on, or a subject to score on is trained on.
    """
    plan = _used_by(arms[0].config, plan)
    seen = {subject_of(case) for case in (*plan.cases.train, *plan.cases.validation)}
    if leaked := sorted(seen & {subject_of(case) for case in plan.held_out}):
        raise CaseError(f"subjects to score on are trained on: {', '.join(leaked)}")
    if not plan.held_out:
        raise CaseError("there is no case to score on")
    hold_to_plan(plan.out / "plan.json", _written(arms, plan))
    table = plan.out / "ablation.md"
    done: list[Arm] = []
    for arm in arms:
        run = plan.out / arm.folder
        if not (run / "scores.csv").exists():
            trainer = Trainer(arm.config, RunPlan(plan.cases, run, Budget(steps=plan.steps)))
            if not train(trainer):
                return None
            write_scores(_scores(run, plan.out / arms[0].folder, plan.held_out), run / "scores.csv")
        done.append(arm)
        table.write_text(_table(done, plan))
    return table


def _used_by(config: TrainingConfig, plan: AblationPlan) -> AblationPlan:
    """The plan without right femurs, where the family takes none."""
    train, validation, held_out = (
        used_by(config, cases) for cases in (plan.cases.train, plan.cases.validation, plan.held_out)
    )
    return replace(plan, cases=CaseSets(train, validation), held_out=held_out)


def _written(arms: Sequence[Arm], plan: AblationPlan) -> _WrittenPlan:
    train, validation, held_out = (
        tuple(case.stem for case in cases)
        for cases in (plan.cases.train, plan.cases.validation, plan.held_out)
    )
    return _WrittenPlan(
        configurations=tuple(arm.config for arm in arms),
        train=train,
        validation=validation,
        held_out=held_out,
        steps=plan.steps,
    )


def _scores(run: Path, periosteal: Path, held_out: Sequence[Path]) -> list[CaseScore]:
    """Scores of a trained arm; of an endosteal one in the cascade behind a periosteal run."""
    predictor = TorchPredictor(run)
    if predictor.config.role == "periosteal":
        return [score_alone(case, predictor) for case in held_out]
    networks = Networks(TorchPredictor(periosteal), predictor)
    cascade = Cascade(networks, endosteal_input=predictor.config.endosteal_input)
    return [score_endosteal(case, cascade) for case in held_out]


def _table(arms: Sequence[Arm], plan: AblationPlan) -> str:
    names = {arm.config.name for arm in arms}
    departures = (
        f"`{name}`: " + ", ".join(f"{field} {value}" for field, value in departure.changes.items())
        for name, departure in DEPARTURES.items()
        if name in names
    )
    lines = [
        "# Ablations of the paper under one budget",
        "",
        f"Each arm: configurations of the `{arms[0].config.name}` family, {plan.steps} steps, "
        f"{len(plan.cases.train)} cases, the same seed. Scored on {len(plan.held_out)} femurs "
        "never trained on, whole, by sliding window and Otsu. Every endosteal network is scored "
        "in the cascade: the mask that the first arm found is what the masked CT is masked with "
        f"and what every endosteal find is cut to. {MARKDOWN_NOTE} The paper's figures are of its "
        "own data and stand beside, not against. Nothing here is validated for clinical use.",
        "",
        f"What the arms' configurations change: {'; '.join(departures)}. `perturb_mask`, where it "
        "is on, acts on the masked CT only.",
        "",
        f"| Arm | paper DSC | {MARKDOWN_COLUMNS}",
        f"| --- | --- | {MARKDOWN_RULE}",
    ]
    for arm in arms:
        scores = read_scores(plan.out / arm.folder / "scores.csv")
        lines.append(f"| {arm.label} | {arm.paper_dice:.4f} | {markdown_row(scores)}")
    return "\n".join([*lines, ""])
