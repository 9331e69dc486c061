import pytest

from model_export.checkpoint import RunError
from model_export.config import TrainingConfig, paper
from model_export.schedule import Budget, asked_budget, budget_of, learning_rate


def test_the_rate_warms_up_and_then_falls_to_zero_as_a_cosine(tiny: TrainingConfig):
    config = tiny.model_copy(update={"learning_rate": 1.0, "warmup_share": 0.2})
    assert learning_rate(config, 0.1) == pytest.approx(0.5)
    assert learning_rate(config, 0.2) == pytest.approx(1.0)
    assert learning_rate(config, 0.6) == pytest.approx(0.5)
    assert learning_rate(config, 1.0) == pytest.approx(0.0)


def test_the_paper_s_rate_is_constant():
    assert {learning_rate(paper("periosteal"), share) for share in (0, 0.3, 1)} == {1e-4}


def test_a_budget_of_minutes_counts_earlier_runs():
    assert Budget(minutes=2).share_used(step=999, seconds=90) == pytest.approx(0.75)
    assert Budget(steps=4).share_used(step=3, seconds=1e9) == pytest.approx(0.75)


@pytest.mark.parametrize("budget", [(None, None), (3, 3.0), (0, None), (None, -1.0)])
def test_a_budget_is_either_steps_or_minutes(budget: tuple[int | None, float | None]):
    with pytest.raises(RunError, match="budget"):
        Budget(*budget)


def test_the_paper_s_800_epochs_of_76_cases_are_60_800_steps():
    assert budget_of(paper("periosteal"), 76) == Budget(steps=60_800)


def test_a_configuration_without_epochs_needs_a_budget(tiny: TrainingConfig):
    with pytest.raises(RunError, match="--steps or --minutes"):
        budget_of(tiny, 76)


def test_asking_for_nothing_is_asking_for_the_configuration_s_budget():
    assert asked_budget(None, None) is None
    assert asked_budget(5, None) == Budget(steps=5)
