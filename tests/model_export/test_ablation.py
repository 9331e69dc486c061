from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_export import ablation
from model_export.ablation import AblationPlan, Arm, ablate, arms_of
from model_export.case_sets import CaseSets, case_files
from model_export.cases import CaseError, TrainingCase
from model_export.checkpoint import RunError
from model_export.config import TrainingConfig
from model_export.scoring import read_scores
from model_export.training import Trainer
from service.domain.model_contract import ModelContract


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
    plan = AblationPlan(CaseSets.of_folder(cases), held_out, tmp_path / "out", 2)
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
    assert "`cpu-cropped`: endosteal_input cropped, background_share 0.1" in table.read_text()
    for other in (replace(plan, steps=3), replace(plan, held_out=(*held_out, Path("x_left.npz")))):
        with pytest.raises(RunError, match="was begun with other"):
            ablate(arms, other, train)


def test_an_endosteal_arm_is_given_what_the_first_arm_found(
    tmp_path: Path,
    cases: Path,
    make_case: Callable[..., TrainingCase],
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
):
    make_case("unseen_left").save(tmp_path / "held_out")
    held_out = case_files(tmp_path / "held_out")
    plan = AblationPlan(CaseSets.of_folder(cases), held_out, tmp_path / "out", 1)
    arms = [_tiny_arm(arm, tiny) for arm in arms_of("cpu")]
    monkeypatch.setattr(ablation, "TorchPredictor", lambda run: _BlindFirst(run, arms))
    assert ablate(arms, plan, lambda trainer: True) is not None
    for arm in arms[2:]:
        (found,) = read_scores(plan.out / arm.folder / "scores.csv")
        assert found.surface is not None
        # each endosteal network finds the marrow exactly, but no femur was found to look into
        assert found.surface.dice == 0


class _BlindFirst:
    """Finds the marrow by its HU, unless it stands for the first arm's run: then nothing."""

    provider, sha256 = "test", ""

    def __init__(self, run: Path, arms: list[Arm]) -> None:
        self.config = next(arm.config for arm in arms if arm.folder == run.name)
        self.contract = ModelContract(role=self.config.role)
        self._blind = run.name == arms[0].folder

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        found = (hu > -60) & (hu < -40) & (not self._blind)
        return found.astype(np.float32)


def test_right_femurs_that_a_family_leaves_out_are_not_counted(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    for name in ("anna_left", "anna_right", "ben_left"):
        make_case(name).save(tmp_path / "train")
    for name in ("carl_left", "carl_right"):
        make_case(name).save(tmp_path / "held_out")
    plan = AblationPlan(
        CaseSets(case_files(tmp_path / "train")), case_files(tmp_path / "held_out"), tmp_path, 1
    )
    arm = _tiny_arm(arms_of("cpu")[0], tiny)
    arms = [replace(arm, config=arm.config.model_copy(update={"right_femurs": False}))]
    table = ablate(arms, plan, lambda trainer: [*trainer.train(lambda: False)] != [])
    assert table is not None
    assert "1 steps, 2 cases" in table.read_text()
    assert "Scored on 1 femurs" in table.read_text()


@pytest.mark.parametrize(
    ("held_out", "reason"), [(("anna_right.npz",), "trained on: anna"), ((), "no case to score on")]
)
def test_subjects_to_score_on_are_others_than_those_trained_on(
    tmp_path: Path, held_out: tuple[str, ...], reason: str
):
    sets = CaseSets((Path("anna_left.npz"), Path("ben_left.npz")))
    plan = AblationPlan(sets, tuple(map(Path, held_out)), tmp_path, 1)
    with pytest.raises(CaseError, match=reason):
        ablate(arms_of("cpu"), plan, lambda trainer: True)
