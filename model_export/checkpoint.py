"""A run's folder: ``checkpoint.pt`` (all that resuming needs), ``best.pt`` and ``curve.csv``."""

from __future__ import annotations

import csv
import os
import pickle
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
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
        cases: what it was trained on, in words, the run that its first weights are of included.
        scaler: state of the loss scaling of half precision; empty where there is none.
        best_dice: the best validation DSC so far, 0 before the first.
        case_names_sha256: of ``CaseSets``; a resumed run must have the same.
        budget: in words; a resumed run must have the same.
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
    case_names_sha256: str = ""
    budget: str = ""

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


UNREADABLE = (OSError, EOFError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError)
"""What reading a torn or foreign file raises."""


def load_checkpoint(run: Path) -> Checkpoint:
    """The checkpoint of a run's folder, or the checkpoint file itself.

    Raises:
        RunError: if there is none, or the file is none of ours, torn, or of a version whose
            configuration differs.
    """
    path = run / CHECKPOINT_NAME if run.is_dir() else run
    if not path.is_file():
        raise RunError(f"no checkpoint at {path}; `train` writes one")
    try:
        checkpoint = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
        checkpoint.config()
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0][:200]
        raise RunError(f"{path} is no checkpoint of `train`, or torn ({reason})") from error
    except ValidationError as error:
        first = error.errors()[0]
        field_name = ".".join(str(part) for part in first["loc"])
        raise RunError(
            f"{path} was written by another version of femurct ({field_name}: {first['msg']}); "
            "use that one, or train anew"
        ) from error
    return checkpoint


def hold_to_plan(path: Path, plan: BaseModel) -> None:
    """Writes down what a folder's runs are for, or checks that it is what they were begun for.

    Args:
        path: in that folder, which is made where it does not exist.
        plan: what the results in the folder follow from.

    Raises:
        RunError: if another plan is written there.
    """
    asked = plan.model_dump_json(indent=2)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(asked)
        os.replace(partial, path)
    elif path.read_text() != asked:
        raise RunError(
            f"{path.parent} was begun with other cases, folds or seed, another configuration or "
            f"budget ({path.name}); ask for the same, or choose another folder"
        )


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
    """Leaves the heading and whole rows up to ``step`` of ``run/curve.csv``.

    A killed run may have left rows beyond its checkpoint, a torn one, or none at all.
    """
    path = run / CURVE_NAME
    rows = path.read_text().splitlines(keepends=True)[1:] if path.exists() else []
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",", 1)[0]) <= step]
    heading = ",".join(f.name for f in fields(CurvePoint)) + "\n"
    partial = path.with_suffix(".partial")
    partial.write_text("".join((heading, *kept)))
    os.replace(partial, path)


def append_curve(run: Path, points: list[CurvePoint]) -> None:
    """Appends rows to ``run/curve.csv``, which ``trim_curve`` has begun."""
    with (run / CURVE_NAME).open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(astuple(point) for point in points)
