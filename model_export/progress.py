"""A training run before a person's eyes: a bar with the time left, and a stop by signal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model_export.training import Trainer


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Makes SIGTERM and SIGINT a request, which the function given tells; undone at the end."""
    stop: list[int] = []

    def request_stop(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, request_stop) for number in signals]
    try:
        yield lambda: bool(stop)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def train_with_progress(trainer: Trainer) -> bool:
    """Trains until the budget is used up, which is true, or a signal came, which is false.

    A signal is a request only while it trains: before and after, it ends the process.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with _stop_on_signal() as stopped, Progress(*columns) as progress:
        task = progress.add_task("first step", total=1.0)
        for point in trainer.train(stopped):
            used = trainer.budget.share_used(point.step, trainer.seconds)
            progress.update(
                task, completed=used, description=f"step {point.step} loss {point.loss:.3f}"
            )
            if point.dice_real is not None or point.dice_phantom is not None:
                progress.console.print(point)
        return not stopped() and trainer.budget.share_used(trainer.step, trainer.seconds) >= 1
