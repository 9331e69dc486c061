"""How long a run lasts, and the learning rate along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model_export.checkpoint import RunError
from model_export.config import TrainingConfig


@dataclass(frozen=True)
class Budget:
    """When a run ends: after ``steps``, or after ``minutes`` of training, resumed ones included.

    Raises:
        RunError: unless exactly one is given, and it is above 0.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise RunError("a budget is given either in steps or in minutes")
        if (self.steps or self.minutes or 0) <= 0:
            raise RunError("a budget must be more than nothing")

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.minutes is None else f"{self.minutes:g} minutes"

    def share_used(self, step: int, seconds: float) -> float:
        """0 at the start, 1 and above when used up."""
        if self.steps is not None:
            return step / self.steps
        return seconds / (60 * (self.minutes or 1.0))


def asked_budget(steps: int | None, minutes: float | None) -> Budget | None:
    """What a command was asked for; None, the configuration's own, where it was asked for neither.

    Raises:
        RunError: see ``Budget``.
    """
    return None if steps is None and minutes is None else Budget(steps, minutes)


def budget_of(config: TrainingConfig, cases: int) -> Budget:
    """The configuration's own budget: its epochs, each of one patch of every case.

    Raises:
        RunError: if it has none.
    """
    if config.epochs is None:
        raise RunError(f"configuration {config.name} has no budget; give --steps or --minutes")
    return Budget(steps=config.epochs * cases)


def learning_rate(config: TrainingConfig, share_used: float) -> float:
    """The rate at a share of the budget: linear warm-up, then constant or a half cosine to 0."""
    if share_used < config.warmup_share:
        return config.learning_rate * max(share_used / config.warmup_share, 0.01)
    if config.schedule == "constant":
        return config.learning_rate
    progress = (share_used - config.warmup_share) / (1 - config.warmup_share)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
