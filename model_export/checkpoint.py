"""A run's folder: ``checkpoint.pt`` (all that resuming needs) and ``curve.csv``."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_export.config import TrainingConfig
from service.errors import InputError

CHECKPOINT_NAME = "checkpoint.pt"
CURVE_NAME = "curve.csv"


class RunError(InputError):
    """A run's folder that cannot be used as asked."""

    code = "unusable_run"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run after ``step`` steps.

    Patches are functions of the seed and the step, and the network has no dropout, so no
    generator's state belongs to it.

    Attributes:
        configuration: JSON of the ``TrainingConfig``.
        network: state of the ``VNet``.
        optimizer: state of the optimizer.
        step: steps done.
        seconds: time they took.
        norm_frozen: whether batch norm already uses its running statistics.
        finished: whether the budget was used up.
        cases: what it was trained on, in words.
    """

    configuration: str
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    step: int
    seconds: float
    norm_frozen: bool
    finished: bool
    cases: str

    def config(self) -> TrainingConfig:
        """The configuration it was trained with."""
        return TrainingConfig.model_validate_json(self.configuration)

    def save(self, run: Path) -> None:
        """Replaces ``run/checkpoint.pt`` when wholly written."""
        partial = run / (CHECKPOINT_NAME + ".partial")
        with partial.open("wb") as file:
            torch.save({f.name: getattr(self, f.name) for f in fields(self)}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, run / CHECKPOINT_NAME)


def load_checkpoint(run: Path) -> Checkpoint:
    """The checkpoint of a run's folder, or the checkpoint file itself.

    Raises:
        RunError: if there is none.
    """
    path = run / CHECKPOINT_NAME if run.is_dir() else run
    if not path.is_file():
        raise RunError(f"no checkpoint at {path}; `train` writes one")
    return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))


@dataclass(frozen=True)
class CurvePoint:
    """One row of ``curve.csv``; Dice are None where the step was not validated."""

    step: int
    loss: float
    learning_rate: float
    seconds: float
    dice_real: float | None = None
    dice_phantom: float | None = None


def trim_curve(run: Path, step: int) -> None:
    """Drops rows of ``run/curve.csv`` beyond ``step``, which a killed run may have left."""
    path = run / CURVE_NAME
    if not path.exists():
        return
    heading, *rows = path.read_text().splitlines(keepends=True)
    kept = [row for row in rows if int(row.split(",", 1)[0]) <= step]
    path.write_text("".join((heading, *kept)))


def append_curve(run: Path, points: list[CurvePoint]) -> None:
    """Appends rows to ``run/curve.csv``, with the heading if it is new."""
    path = run / CURVE_NAME
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(CurvePoint)])
        if new:
            writer.writeheader()
        writer.writerows(asdict(point) for point in points)
