"""A signal is a request while a run trains, and ends the process at any other time."""

import signal
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from model_export.checkpoint import CurvePoint
from model_export.progress import train_with_progress
from model_export.schedule import Budget
from model_export.training import Trainer


class _Run:
    """Three steps, with a signal in the second if asked for."""

    def __init__(self, raised: signal.Signals | None) -> None:
        self.budget = Budget(steps=3)
        self.step, self.seconds = 0, 0.0
        self._raised = raised

    def train(self, stopped: Callable[[], bool]) -> Iterator[CurvePoint]:
        while self.step < 3 and not stopped():
            self.step += 1
            if self.step == 2 and self._raised is not None:
                signal.raise_signal(self._raised)
            yield CurvePoint(self.step, 0.5, 1e-4, 1.0)


@pytest.mark.parametrize("raised", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_and_is_deadly_again_afterwards(
    raised: signal.Signals,
) -> None:
    before = signal.getsignal(raised)
    run = _Run(raised)
    assert not train_with_progress(cast(Trainer, run))
    assert run.step == 2
    assert signal.getsignal(raised) is before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # as while a fold is scored


def test_a_run_to_its_budget_is_done() -> None:
    assert train_with_progress(cast(Trainer, _Run(None)))
