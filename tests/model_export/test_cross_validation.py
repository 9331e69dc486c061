import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_export import cross_validation
from model_export.case_sets import case_files, subject_of
from model_export.cases import CaseError, TrainingCase, load_case
from model_export.checkpoint import RunError, load_checkpoint
from model_export.config import TrainingConfig
from model_export.cross_validation import CrossValidation, cross_validate, split_subjects
from model_export.evaluation import SurfaceScore
from model_export.predictor import open_predictor
from model_export.schedule import Budget
from model_export.scoring import CaseScore, mean_dice, read_scores
from model_export.training import Trainer

SUBJECTS = tuple(f"s{number:02d}" for number in range(12))


@pytest.fixture
def task(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
) -> CrossValidation:
    """Twelve tiny cases: two to test on, ten for ten folds."""
    for subject in SUBJECTS:
        make_case(f"{subject}_left").save(tmp_path / "cases")
    config = tiny.model_copy(update={"select": "best"})
    return CrossValidation(
        case_files(tmp_path / "cases"), tmp_path / "out", config, Budget(steps=2)
    )


def _train(trainer: Trainer) -> bool:
    return [point.step for point in trainer.train(lambda: False)] != []


def test_the_paper_s_100_subjects_give_15_to_test_on_and_ten_folds_of_8_or_9():
    subjects = [f"s{number:03d}" for number in range(100)]
    split = split_subjects(subjects, folds=10, seed=0)
    assert len(split.test) == 15
    assert sorted(len(fold) for fold in split.folds) == [8] * 5 + [9] * 5
    everyone = [*split.test, *(name for fold in split.folds for name in fold)]
    assert sorted(everyone) == subjects


def test_a_split_depends_on_the_seed_and_not_on_the_order():
    split = split_subjects(SUBJECTS, folds=3, seed=0)
    assert split_subjects(SUBJECTS[::-1] + SUBJECTS, folds=3, seed=0) == split
    assert split_subjects(SUBJECTS, folds=3, seed=1) != split


@pytest.mark.parametrize(("subjects", "folds"), [(11, 10), (12, 1), (0, 2)])
def test_too_few_subjects_for_the_folds_are_refused(subjects: int, folds: int):
    with pytest.raises(CaseError, match=f"{subjects} subjects"):
        split_subjects(SUBJECTS[:subjects], folds, seed=0)


def test_ten_folds_end_in_the_best_model_and_its_scores_on_the_test_cases(task: CrossValidation):
    summary = cross_validate(task, _train)
    folds = [read_scores(task.out / f"fold_{i:02d}" / "scores.csv") for i in range(10)]
    validated = [row.case for fold in folds for row in fold]
    tested = [row.case for row in read_scores(task.out / "test_scores.csv")]
    assert (len(validated), len(tested)) == (10, 2)
    assert sorted(validated + tested) == [case.stem for case in task.cases]
    means = [mean_dice(fold) for fold in folds]
    best = task.out / f"fold_{means.index(max(means)):02d}" / "best.pt"
    assert (task.out / "best.pt").read_bytes() == best.read_bytes()
    assert open_predictor(task.out / "best.pt", "periosteal").contract.role == "periosteal"
    assert summary is not None
    assert f"model of fold {means.index(max(means))} " in summary.read_text()
    assert all(link.resolve() in task.cases for link in (task.out / "test").iterdir())
    # nine of the ten train, the tenth validates
    assert load_checkpoint(best.parent).cases.startswith("9 annotated femurs")


def test_a_stopped_cross_validation_goes_on_where_it_was(task: CrossValidation):
    task = replace(task, folds=3)
    trained: list[tuple[str, int]] = []

    def stop_in_the_second_fold(trainer: Trainer) -> bool:
        trained.append((trainer.plan.run.name, trainer.step))
        list(trainer.train(lambda: trainer.plan.run.name == "fold_01" and trainer.step == 1))
        return trainer.step == 2

    assert cross_validate(task, stop_in_the_second_fold) is None
    assert trained == [("fold_00", 0), ("fold_01", 0)]

    def go_on(trainer: Trainer) -> bool:
        trained.append((trainer.plan.run.name, trainer.step))
        return _train(trainer)

    assert cross_validate(task, go_on) is not None
    assert trained[2:4] == [("fold_01", 1), ("fold_02", 0)]
    assert len(trained) == 2 + 2


def test_cases_without_a_trusted_reference_choose_no_fold(
    task: CrossValidation, monkeypatch: pytest.MonkeyPatch
):
    task = replace(task, folds=2)
    worse, better = split_subjects(SUBJECTS, folds=2, seed=0).folds
    unscored = {worse[0], better[0]}

    def score(path: Path, predictor: None) -> CaseScore:
        subject = path.stem.removesuffix("_left")
        dice = 0.9 if subject in better else 0.5
        scored = SurfaceScore(dice, 1.0, 1.0, 1.0, 1.0, 1.0)
        return CaseScore(path.stem, None if subject in unscored else scored)

    monkeypatch.setattr(cross_validation, "TorchPredictor", lambda run: None)
    monkeypatch.setattr(cross_validation, "score_alone", score)
    summary = cross_validate(task, lambda trainer: trainer.save() is None)
    assert summary is not None
    rows = summary.read_text()
    assert "| 1 | 4 of 5 | 0.9000 |" in rows
    assert "model of fold 1 " in rows


def test_a_fold_without_a_trusted_reference_is_refused_before_any_training(task: CrossValidation):
    fold = split_subjects(SUBJECTS, folds=10, seed=0).folds[7]
    for path in task.cases:
        if subject_of(path) in fold:
            case = load_case(path)
            replace(case, trust=np.zeros_like(case.trust)).save(path.parent)
    with pytest.raises(CaseError, match=f"no case to score on .* periosteal .*: {fold[0]}_left"):
        cross_validate(task, lambda trainer: pytest.fail("trained"))
    assert not list(task.out.glob("fold_*"))


def test_another_configuration_or_set_of_cases_is_refused(task: CrossValidation):
    assert cross_validate(task, lambda trainer: False) is None
    split = json.loads((task.out.parent / "split.json").read_text())
    assert (len(split["test"]), len(split["folds"])) == (2, 10)
    for other in (
        replace(task, cases=task.cases[:-1], folds=9),
        replace(task, out=task.out.with_name("another_role"), seed=1),
        replace(task, budget=Budget(steps=3)),
    ):
        with pytest.raises(RunError, match="was begun with other cases"):
            cross_validate(other, _train)
