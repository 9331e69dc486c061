"""Curves of a network's training rounds, one after the other.

``python -m tests.benchmarks.training_curves OUT.png RUN RUN ...`` draws loss and validation DSC.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import typer

from model_export.checkpoint import CURVE_NAME

SMOOTHED_STEPS = 50
"""The drawn loss is a running median of so many patches; one patch alone says little."""


class Curve(NamedTuple):
    """One round: per step the loss, and the validation DSC, NaN where it was not validated."""

    loss: npt.NDArray[np.float64]
    dice_real: npt.NDArray[np.float64]
    dice_phantom: npt.NDArray[np.float64]


def read_curve(run: Path) -> Curve:
    """A run's ``curve.csv``."""
    with (run / CURVE_NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("loss", "dice_real", "dice_phantom")
    return Curve(*(np.array([float(r[c] or "nan") for r in rows]) for c in columns))


def running_median(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Of the last ``width`` values, fewer at the start."""
    return np.array([np.median(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))])


def main(
    out: Annotated[Path, typer.Argument(help="The picture, PNG.")],
    runs: Annotated[list[Path], typer.Argument(help="Folders of the rounds, in order.")],
) -> None:
    """Draw the rounds side by side on one axis of steps."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    first = 0
    for run in runs:
        curve = read_curve(run)
        steps = first + 1 + np.arange(len(curve.loss))
        top.semilogy(steps, running_median(curve.loss, SMOOTHED_STEPS), color="tab:blue", lw=1)
        for name, colour in (("dice_real", "tab:orange"), ("dice_phantom", "tab:green")):
            dice = getattr(curve, name)
            seen = np.isfinite(dice)
            label = name.replace("dice_", "") if first == 0 else None
            bottom.plot(steps[seen], dice[seen], "o-", color=colour, ms=3, lw=1, label=label)
        first += len(curve.loss)
        for axes in (top, bottom):
            axes.axvline(first, color="0.8", lw=0.8)
    top.set_ylabel(f"training loss, median of {SMOOTHED_STEPS}")
    bottom.set_ylabel("DSC of validation patches")
    bottom.set_xlabel("step; a line ends each round")
    bottom.set_ylim(bottom=max(0.5, bottom.get_ylim()[0]))
    bottom.legend()
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    typer.run(main)
