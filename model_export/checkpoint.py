"""A run's folder: ``checkpoint.pt`` (all that resuming needs), ``best.pt`` and ``curve.csv``."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_export.config import TrainingConfig
from service.errors import InputError

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best.pt"
"""The weights of the best validation DSC so far (paper, section 2.4), without the optimizer."""
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
        network: state of the network.
        optimizer: state of the optimizer; empty in ``best.pt``.
        step: steps done.
        seconds: time they took.
        norm_frozen: whether batch norm already uses its running statistics.
        finished: whether the budget was used up.
        cases: what it was trained on, in words.
        scaler: state of the loss scaling of half precision; empty where there is none.
        best_dice: the best validation DSC so far, 0 before the first.
    """

    configuration: str
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    step: int
    seconds: float
    norm_frozen: bool
    finished: bool
    cases: str
    scaler: dict[str, Any] = field(default_factory=dict)
    best_dice: float = 0.0

    def config(self) -> TrainingConfig:
        """The configuration it was trained with."""
        return TrainingConfig.model_validate_json(self.configuration)

    def save(self, path: Path) -> None:
        """Replaces the file when wholly written."""
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            torch.save({f.name: getattr(self, f.name) for f in fields(self)}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)


def load_checkpoint(run: Path) -> Checkpoint:
    """The checkpoint of a run's folder, or the checkpoint file itself.

    Raises:
        RunError: if there is none.
    """
    path = run / CHECKPOINT_NAME if run.is_dir() else run
    if not path.is_file():
        raise RunError(f"no checkpoint at {path}; `train` writes one")
    return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))


def model_file(run: Path) -> Path:
    """The file of the weights that a run stands for (``TrainingConfig.select``).

    Args:
        run: a run's folder, or a checkpoint file, which stands for itself.

    Raises:
        RunError: if there is no checkpoint.
    """
    if not run.is_dir():
        return run
    best = run / BEST_NAME
    if load_checkpoint(run).config().select == "best" and best.exists():
        return best
    return run / CHECKPOINT_NAME


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
