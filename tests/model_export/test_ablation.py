from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model_export.ablation import AblationPlan, Arm, ablate, arms_of
from model_export.case_sets import CaseSets, case_files
from model_export.cases import CaseError, TrainingCase
from model_export.config import TrainingConfig
from model_export.schedule import Budget
from model_export.training import Trainer


def test_the_arms_are_the_paper_s_five_trainings():
    arms = arms_of("paper")
    assert [(a.config.role, a.config.name) for a in arms] == [
        ("periosteal", "paper"),
        ("periosteal", "paper-unet"),
        ("endosteal", "paper"),
        ("endosteal", "paper-unet"),
        ("endosteal", "paper-cropped"),
    ]
    assert [a.config.name for a in arms_of("cpu")] == [
        a.config.name.replace("paper", "cpu") for a in arms
    ]


def _tiny_arm(arm: Arm, tiny: TrainingConfig) -> Arm:
    update = {"role": arm.config.role, "name": arm.config.name}
    for field in ("architecture", "endosteal_input"):
        update[field] = getattr(arm.config, field)
    return replace(arm, config=tiny.model_copy(update=update))


def test_every_arm_is_trained_alike_scored_and_kept(
    tmp_path: Path, cases: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    make_case("unseen_left").save(tmp_path / "held_out")
    held_out = case_files(tmp_path / "held_out")
    plan = AblationPlan(CaseSets.of_folder(cases), held_out, tmp_path / "out", Budget(steps=2))
    arms = [_tiny_arm(arm, tiny) for arm in arms_of("cpu")]
    trained: list[str] = []

    def train(trainer: Trainer) -> bool:
        trained.append(trainer.plan.run.name)
        list(trainer.train(lambda: len(trained) == 3 and trainer.step == 1))
        return trainer.step == 2

    assert ablate(arms, plan, train) is None  # stopped in the third arm
    table = ablate(arms, plan, train)
    assert trained == [a.folder for a in arms[:3]] + [a.folder for a in arms[2:]]
    assert table is not None
    rows = [line for line in table.read_text().splitlines() if line.startswith("| ")][2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [a.label for a in arms]
    assert "2 steps, 2 cases" in table.read_text()


@pytest.mark.parametrize(
    ("held_out", "reason"), [(("anna_right.npz",), "trained on: anna"), ((), "no case to score on")]
)
def test_subjects_to_score_on_are_others_than_those_trained_on(
    tmp_path: Path, held_out: tuple[str, ...], reason: str
):
    sets = CaseSets((Path("anna_left.npz"), Path("ben_left.npz")))
    plan = AblationPlan(sets, tuple(map(Path, held_out)), tmp_path, Budget(steps=1))
    with pytest.raises(CaseError, match=reason):
        ablate(arms_of("cpu"), plan, lambda trainer: True)
