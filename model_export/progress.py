"""A training run before a person's eyes: a bar with the time left, and a stop by signal."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model_export.training import Trainer


def stop_on_signal() -> Callable[[], bool]:
    """Makes SIGTERM and SIGINT a request, which the returned function tells."""
    stop: list[int] = []

    def request_stop(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    return lambda: bool(stop)


def train_with_progress(trainer: Trainer, stopped: Callable[[], bool]) -> bool:
    """Trains until the budget is used up, which is true, or ``stopped()``, which is false."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("first step", total=1.0)
        for point in trainer.train(stopped):
            used = trainer.budget.share_used(point.step, trainer.seconds)
            progress.update(
                task, completed=used, description=f"step {point.step} loss {point.loss:.3f}"
            )
            if point.dice_real is not None or point.dice_phantom is not None:
                progress.console.print(point)
    return trainer.budget.share_used(trainer.step, trainer.seconds) >= 1
