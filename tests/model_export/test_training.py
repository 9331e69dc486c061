from pathlib import Path

import pytest
import torch

from model_export.checkpoint import CurvePoint, RunError, load_checkpoint
from model_export.config import TrainingConfig
from model_export.training import Budget, RunPlan, Trainer, learning_rate


def _rows(run: Path) -> list[list[str]]:
    """Step, loss and rate of each row of the curve (seconds differ from run to run)."""
    return [row.split(",")[:3] for row in (run / "curve.csv").read_text().splitlines()]


def _train(trainer: Trainer, steps: int = 1000) -> list[CurvePoint]:
    points: list[CurvePoint] = []
    for point in trainer.train(lambda: len(points) >= steps):
        points.append(point)
    return points


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    whole = RunPlan(cases, tmp_path / "whole", Budget(steps=6))
    halved = RunPlan(cases, tmp_path / "halved", Budget(steps=6))
    _train(Trainer(tiny, whole))
    assert len(_train(Trainer(tiny, halved), steps=3)) == 3
    assert load_checkpoint(halved.run).finished is False
    assert [p.step for p in _train(Trainer(tiny, halved))] == [4, 5, 6]
    expected, found = load_checkpoint(whole.run), load_checkpoint(halved.run)
    assert found.finished
    for name, values in expected.network.items():
        assert torch.equal(values, found.network[name]), name
    assert _rows(halved.run) == _rows(whole.run)


def test_a_run_killed_after_its_checkpoint_repeats_no_row(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    plan = RunPlan(cases, tmp_path / "run", Budget(steps=4))
    _train(Trainer(tiny, plan), steps=2)
    with (plan.run / "curve.csv").open("a") as file:
        file.write("3,0.5,0.001,9.0,,\n")  # written, but killed before the checkpoint of step 3
    _train(Trainer(tiny, plan))
    assert [row[0] for row in _rows(plan.run)] == ["step", "1", "2", "3", "4"]


def test_validation_scores_real_and_phantom_cases_apart(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    points = _train(Trainer(tiny, RunPlan(cases, tmp_path / "run", Budget(steps=2))))
    assert points[0].dice_real is None
    assert points[1].dice_real is not None
    assert points[1].dice_phantom is None


def test_a_run_can_start_from_another_s_weights(tmp_path: Path, cases: Path, tiny: TrainingConfig):
    first = RunPlan(cases, tmp_path / "first", Budget(steps=1))
    _train(Trainer(tiny, first))
    endosteal = tiny.model_copy(update={"role": "endosteal"})
    second = Trainer(endosteal, RunPlan(cases, tmp_path / "next", Budget(steps=1), first.run))
    assert torch.equal(
        second.network.state_dict()["head.weight"],
        load_checkpoint(first.run).network["head.weight"],
    )
    assert second.step == 0


def test_a_folder_of_another_configuration_is_refused(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    plan = RunPlan(cases, tmp_path / "run", Budget(steps=1))
    _train(Trainer(tiny, plan))
    with pytest.raises(RunError, match="another configuration"):
        Trainer(tiny.model_copy(update={"seed": 5}), plan)


def test_the_rate_warms_up_and_then_falls_to_zero_as_a_cosine(tiny: TrainingConfig):
    config = tiny.model_copy(update={"learning_rate": 1.0, "warmup_share": 0.2})
    assert learning_rate(config, 0.1) == pytest.approx(0.5)
    assert learning_rate(config, 0.2) == pytest.approx(1.0)
    assert learning_rate(config, 0.6) == pytest.approx(0.5)
    assert learning_rate(config, 1.0) == pytest.approx(0.0)


def test_a_budget_of_minutes_counts_earlier_runs():
    assert Budget(minutes=2).share_used(step=999, seconds=90) == pytest.approx(0.75)
    assert Budget(steps=4).share_used(step=3, seconds=1e9) == pytest.approx(0.75)


@pytest.mark.parametrize("budget", [(None, None), (3, 3.0), (0, None), (None, -1.0)])
def test_a_budget_is_either_steps_or_minutes(budget: tuple[int | None, float | None]):
    with pytest.raises(RunError, match="budget"):
        Budget(*budget)
