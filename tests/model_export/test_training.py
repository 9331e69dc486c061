import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model_export.case_sets import CaseSets
from model_export.cases import TrainingCase
from model_export.checkpoint import CurvePoint, RunError, load_checkpoint
from model_export.config import TrainingConfig
from model_export.onnx_export import contract_of
from model_export.schedule import Budget
from model_export.training import RunPlan, Trainer


def _rows(run: Path) -> list[list[str]]:
    """The curve without its seconds, which differ from run to run."""
    rows = [row.split(",") for row in (run / "curve.csv").read_text().splitlines()]
    seconds = rows[0].index("seconds")
    return [row[:seconds] + row[seconds + 1 :] for row in rows]


def _train(trainer: Trainer, steps: int = 1000) -> list[CurvePoint]:
    points: list[CurvePoint] = []
    for point in trainer.train(lambda: len(points) >= steps):
        points.append(point)
    return points


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    whole = RunPlan(CaseSets.of_folder(cases), tmp_path / "whole", Budget(steps=6))
    halved = RunPlan(CaseSets.of_folder(cases), tmp_path / "halved", Budget(steps=6))
    _train(Trainer(tiny, whole))
    assert len(_train(Trainer(tiny, halved), steps=3)) == 3
    assert load_checkpoint(halved.run).finished is False
    assert [p.step for p in _train(Trainer(tiny, halved))] == [4, 5, 6]
    expected, found = load_checkpoint(whole.run), load_checkpoint(halved.run)
    assert found.finished
    for name, values in expected.network.items():
        assert torch.equal(values, found.network[name]), name
    assert _rows(halved.run) == _rows(whole.run)


TRAIN = """
import sys, torch
from pathlib import Path
from model_export.case_sets import CaseSets
from model_export.config import TrainingConfig
from model_export.schedule import Budget
from model_export.training import RunPlan, Trainer
torch.set_num_threads(1)
cases, run, config, steps = sys.argv[1:]
plan = RunPlan(CaseSets.of_folder(Path(cases)), Path(run), Budget(steps=int(steps)))
for point in Trainer(TrainingConfig.model_validate_json(config), plan).train(lambda: False):
    print(point.step, flush=True)
"""


def _train_and_kill(cases: Path, run: Path, config: TrainingConfig, steps: int, at: int) -> None:
    """Trains in another process and kills it (SIGKILL) as soon as it has done step ``at``."""
    command = [sys.executable, "-c", TRAIN, str(cases), str(run), config.model_dump_json()]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, str(steps)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= at:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(torch.cuda.is_available(), reason="sums on a GPU have no fixed order")
def test_a_run_killed_at_a_random_step_and_resumed_ends_with_the_same_curve(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"checkpoint_every": 4})
    whole = RunPlan(CaseSets.of_folder(cases), tmp_path / "whole", Budget(steps=24))
    killed = RunPlan(CaseSets.of_folder(cases), tmp_path / "killed", Budget(steps=24))
    _train(Trainer(config, whole))
    at = random.randrange(5, 20)
    _train_and_kill(cases, killed.run, config, steps=24, at=at)
    assert not load_checkpoint(killed.run).finished
    _train(Trainer(config, killed))
    assert _rows(killed.run) == _rows(whole.run), f"killed at step {at}"
    expected, found = load_checkpoint(whole.run), load_checkpoint(killed.run)
    assert all(torch.equal(v, found.network[name]) for name, v in expected.network.items())
    assert found.best_dice == expected.best_dice


def test_the_weights_of_the_best_validation_dice_are_kept(
    tmp_path: Path, cases: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
):
    scores = iter([(0.5, None), (0.7, 0.9), (0.79, None), (0.8, None)])
    monkeypatch.setattr(Trainer, "_validate", lambda trainer: next(scores))
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=8))
    _train(Trainer(tiny, plan))
    # validated after steps 2, 4, 6 and 8; the second's mean of 0.8 is not surpassed
    best = load_checkpoint(plan.run / "best.pt")
    assert (best.step, best.best_dice, best.optimizer) == (4, pytest.approx(0.8), {})
    assert load_checkpoint(plan.run).best_dice == pytest.approx(0.8)


def test_a_run_shorter_than_a_round_of_validation_is_validated_at_its_end(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"validate_every": 200})
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=3))
    points = _train(Trainer(config, plan))
    assert [point.dice_real is not None for point in points] == [False, False, True]
    assert load_checkpoint(plan.run / "best.pt").step == 3


def test_a_run_without_validation_cases_keeps_no_best(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    plan = RunPlan(CaseSets.of_folder(cases / "train"), tmp_path / "run", Budget(steps=2))
    points = _train(Trainer(tiny, plan))
    assert points[-1].dice_real is None
    assert not (plan.run / "best.pt").exists()


def test_a_run_lasts_the_epochs_of_its_configuration_where_no_budget_is_asked_for(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"epochs": 2})
    points = _train(Trainer(config, RunPlan(CaseSets.of_folder(cases), tmp_path / "run")))
    assert len(points) == 2 * 2  # two cases to train on


def test_a_u_net_trains_alike(tmp_path: Path, cases: Path, tiny: TrainingConfig):
    config = tiny.model_copy(update={"architecture": "unet"})
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=2))
    assert len(_train(Trainer(config, plan))) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_mixed_precision_trains_close_to_float32(tmp_path: Path, cases: Path, tiny: TrainingConfig):
    losses = []
    for mixed in (False, True):
        config = tiny.model_copy(update={"mixed_precision": mixed})
        plan = RunPlan(CaseSets.of_folder(cases), tmp_path / str(mixed), Budget(steps=4))
        losses.append([point.loss for point in _train(Trainer(config, plan))])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_run_killed_after_its_checkpoint_repeats_no_row(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=4))
    _train(Trainer(tiny, plan), steps=2)
    with (plan.run / "curve.csv").open("a") as file:
        file.write("3,0.5,0.001,9.0,,\n")  # written, but killed before the checkpoint of step 3
    _train(Trainer(tiny, plan))
    assert [row[0] for row in _rows(plan.run)] == ["step", "1", "2", "3", "4"]


def test_validation_scores_real_and_phantom_cases_apart(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    points = _train(
        Trainer(tiny, RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=2)))
    )
    assert points[0].dice_real is None
    assert points[1].dice_real is not None
    assert points[1].dice_phantom is None


def test_a_run_can_start_from_another_s_weights(tmp_path: Path, cases: Path, tiny: TrainingConfig):
    first = RunPlan(CaseSets.of_folder(cases), tmp_path / "first", Budget(steps=1))
    _train(Trainer(tiny, first))
    endosteal = tiny.model_copy(update={"role": "endosteal"})
    second = Trainer(
        endosteal, RunPlan(CaseSets.of_folder(cases), tmp_path / "next", Budget(steps=1), first.run)
    )
    assert torch.equal(
        second.network.state_dict()["head.weight"],
        load_checkpoint(first.run).network["head.weight"],
    )
    assert second.step == 0


def test_first_weights_are_those_that_the_other_run_stands_for(
    tmp_path: Path, cases: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
):
    scores = iter([(0.9, None), (0.5, None)])
    monkeypatch.setattr(Trainer, "_validate", lambda trainer: next(scores))
    config = tiny.model_copy(update={"select": "best"})
    sets = CaseSets.of_folder(cases)
    first = RunPlan(sets, tmp_path / "first", Budget(steps=4))
    _train(Trainer(config, first))
    begun = Trainer(config, RunPlan(sets, tmp_path / "next", Budget(steps=1), first.run))
    weights = begun.network.state_dict()["head.weight"]
    best, last = (load_checkpoint(first.run / f"{n}.pt").network for n in ("best", "checkpoint"))
    assert torch.equal(weights, best["head.weight"])
    assert not torch.equal(weights, last["head.weight"])


def test_a_folder_of_another_run_is_refused(tmp_path: Path, cases: Path, tiny: TrainingConfig):
    sets = CaseSets.of_folder(cases)
    plan = RunPlan(sets, tmp_path / "run", Budget(steps=1))
    _train(Trainer(tiny, plan))
    with pytest.raises(RunError, match="run of another configuration;"):
        Trainer(tiny.model_copy(update={"seed": 5}), plan)
    with pytest.raises(RunError, match="run of another budget;"):
        Trainer(tiny, replace(plan, budget=Budget(steps=2)))
    fewer = CaseSets(sets.train[:1], sets.validation)
    with pytest.raises(RunError, match="run of another set of cases;"):
        Trainer(tiny, replace(plan, cases=fewer))
    unvalidated = CaseSets(sets.train)
    with pytest.raises(RunError, match="set of cases and another budget;"):
        Trainer(tiny, replace(plan, cases=unvalidated, budget=Budget(minutes=1)))


def test_the_cases_of_the_first_weights_are_told_also_after_resuming(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    make_case("STS_001").save(tmp_path / "public")
    make_case("anna_left").save(tmp_path / "own")
    first = RunPlan(CaseSets.of_folder(tmp_path / "public"), tmp_path / "first", Budget(steps=1))
    _train(Trainer(tiny, first))
    own = CaseSets.of_folder(tmp_path / "own")
    second = RunPlan(own, tmp_path / "second", Budget(steps=2), first.run)
    _train(Trainer(tiny, second), steps=1)
    _train(Trainer(tiny, replace(second, initial=None)))
    checkpoint = load_checkpoint(second.run)
    assert checkpoint.cases == (
        "1 annotated femurs of the trainer's own, first weights of a run on 1 annotated real series"
    )
    assert "CC BY" in contract_of(checkpoint).trained_on


def test_the_best_weights_need_cases_to_validate_with(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"select": "best"})
    unvalidated = RunPlan(CaseSets.of_folder(cases / "train"), tmp_path / "run", Budget(steps=1))
    with pytest.raises(RunError, match="no case to validate with"):
        Trainer(config, unvalidated)


@pytest.mark.parametrize(
    ("curve", "steps"),
    [("", []), ("step,lo", []), ("step,loss\n1,0.5,0.1,9,,\n2,0.", ["1"])],
    ids=["empty", "torn heading", "torn row"],
)
def test_a_curve_torn_by_a_kill_does_not_stop_a_run(
    tmp_path: Path, cases: Path, tiny: TrainingConfig, curve: str, steps: list[str]
):
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=3))
    _train(Trainer(tiny, plan), steps=2)
    (plan.run / "curve.csv").write_text(curve)
    _train(Trainer(tiny, plan))
    assert [row[0] for row in _rows(plan.run)] == ["step", *steps, "3"]


def test_first_weights_of_another_network_are_refused(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
):
    sets = CaseSets.of_folder(cases)
    first = tmp_path / "first"
    _train(Trainer(tiny, RunPlan(sets, first, Budget(steps=1))))
    wider = tiny.model_copy(update={"channels": (2, 2, 2, 2, 4)})
    with pytest.raises(RunError, match=r"holds a vnet of channels \(2, 2, 2, 2, 2\)"):
        Trainer(wider, RunPlan(sets, tmp_path / "second", Budget(steps=1), first))
