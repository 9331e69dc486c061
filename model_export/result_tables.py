"""Scores -> the paper's Tables 1 and 2 as rows, Markdown and CSV, beside the paper's figures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from model_export.evaluation import SURFACE_TOLERANCE_MM, FemurScore, SurfaceScore
from model_export.volumes import TARGETS, Part
from service.domain.geometry import FloatArray

PAPER_SECONDS = 0.31
"""Per CT volume on a GeForce GTX 1080 Ti (paper, section 5)."""

PAPER_TABLE_1 = (
    ("Periosteal, paper's V-Net", "0.9787", "0.2011", "0.9887", "0.9939"),
    ("Periosteal, paper's U-Net", "0.9653", "-", "-", "-"),
    ("Endosteal, paper's V-Net", "0.9649", "0.3117", "0.9984", "0.9838"),
    ("Endosteal, paper's U-Net", "0.9376", "-", "-", "-"),
    ("Endosteal, paper's V-Net on the cropped CT", "0.9256", "-", "-", "-"),
)
"""Name, DSC, ASD in mm, SP, SN (paper, Table 1 and section 5)."""

PAPER_TABLE_2 = (
    ("38.91±17.09", "1.1326", "1.2790", "(3.09, 0.09, 6.85)"),
    ("6.83±5.35", "0.2443", "0.2701", "(3.69, 0.93, 5.75)"),
    ("71.17±20.42", "2.3452", "2.5422", "(3.30, 0.13, 5.04)"),
    ("1.62±0.97", "0.0771", "0.0880", "(4.65, 1.07, 9.45)"),
    ("16.84±3.85", "0.6146", "0.7868", "(4.13, 0.28, 11.19)"),
)
"""Ground truth in cm3, MAE, RMSE, RE in % (paper, Table 2), in the order of ``TARGETS``."""

TABLE_1_HEAD = (
    "Surface",
    "DSC",
    "ASD (mm)",
    "SP",
    "SN",
    "HD95 (mm)",
    f"Surface Dice at {SURFACE_TOLERANCE_MM:g} mm",
    "DSC min",
    "Scored",
    "Not found",
)
TABLE_2_HEAD = (
    "Target",
    "Ground truth (cm3)",
    "MAE (cm3)",
    "RMSE (cm3)",
    "RE (%) (mean, min, max)",
    "Measured",
    "Paper: ground truth (cm3)",
    "Paper: MAE",
    "Paper: RMSE",
    "Paper: RE (%)",
)

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Cells as they are shown.

    Raises:
        ValueError: if a row is not as long as the head.
    """

    head: Row
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"every row needs {len(self.head)} cells")

    def markdown(self) -> str:
        """A Markdown table."""
        lines = (self.head, ("---",) * len(self.head), *self.rows)
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def write_csv(self, path: Path) -> None:
        """The same cells as CSV."""
        with path.open("w", newline="") as file:
            csv.writer(file).writerows((self.head, *self.rows))


def table_1(scores: Sequence[FemurScore]) -> Table:
    """DSC, ASD, SP and SN of both surfaces as mean±SD over the femurs, and three columns more.

    A surface not found counts in DSC, SP, SN and surface Dice, not in distances, which it has none.
    """
    ours = (
        _surface_row("Periosteal", [s.periosteal for s in scores]),
        _surface_row("Endosteal", [s.endosteal for s in scores]),
    )
    blank = ("-",) * (len(TABLE_1_HEAD) - len(PAPER_TABLE_1[0]))
    paper = [(*row, *blank) for row in PAPER_TABLE_1]
    return Table(TABLE_1_HEAD, (ours[0], *paper[:2], ours[1], *paper[2:]))


def _surface_row(name: str, scores: Sequence[SurfaceScore | None]) -> Row:
    scored = [score for score in scores if score is not None]
    values = np.array([astuple(score) for score in scored]).reshape(-1, len(fields(SurfaceScore)))
    dice, asd, specificity, sensitivity, hausdorff, surface = values.T
    return (
        name,
        _mean_sd(dice, 4),
        _mean_sd(asd, 4),
        _mean_sd(specificity, 4),
        _mean_sd(sensitivity, 4),
        _mean_sd(hausdorff, 2),
        _mean_sd(surface, 4),
        f"{dice.min():.4f}" if dice.size else "-",
        f"{len(scored)} of {len(scores)}",
        str(int(np.isinf(asd).sum())),
    )


def table_2(scores: Sequence[FemurScore]) -> Table:
    """Volumes of the reference, MAE, RMSE and RE (equations 6-8) over femurs with both volumes."""
    rows = []
    for number, target in enumerate(TARGETS):
        true = np.array([score.true_cm3[number] for score in scores])
        found = np.array([score.found_cm3[number] for score in scores])
        if number < len(PAPER_TABLE_2):
            paper: Row = PAPER_TABLE_2[number]
        elif target.part is Part.SLAB:
            # the slab is the paper's neck in volume
            paper = PAPER_TABLE_2[3 if target.cortical else 1]
        else:
            paper = ("-",) * 4
        rows.append((target.name, *_volume_cells(true, found), *paper))
    return Table(TABLE_2_HEAD, tuple(rows))


def relative_errors_percent(true: FloatArray, found: FloatArray) -> FloatArray:
    """RE of each volume, relative to the reference (equation 8)."""
    errors: FloatArray = 100 * np.abs(found - true) / true
    return errors


def _volume_cells(true: FloatArray, found: FloatArray) -> Row:
    """Ground truth, MAE, RMSE, RE and how many; the truth is over all femurs that have one."""
    known = true[np.isfinite(true)]
    both = np.isfinite(true) & np.isfinite(found)
    measured = f"{int(both.sum())} of {known.size}"
    if not both.any():
        return (_mean_sd(known, 2), "-", "-", "-", measured)
    error = found[both] - true[both]
    relative = relative_errors_percent(true[both], found[both])
    return (
        _mean_sd(known, 2),
        f"{np.abs(error).mean():.4f}",
        f"{np.sqrt((error**2).mean()):.4f}",
        f"({relative.mean():.2f}, {relative.min():.2f}, {relative.max():.2f})",
        measured,
    )


def _mean_sd(values: FloatArray, digits: int) -> str:
    """Mean ± sample standard deviation of the finite values."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "-"
    spread = finite.std(ddof=1) if finite.size > 1 else 0.0
    return f"{finite.mean():.{digits}f}±{spread:.{digits}f}"


def seconds_sentence(scores: Sequence[FemurScore], provider: str) -> str:
    """Seconds per volume beside the paper's."""
    seconds = np.array([score.seconds for score in scores])
    return (
        f"Seconds per volume (one femur, from the cropped CT to both masks, {provider}): mean "
        f"{seconds.mean():.2f}, min {seconds.min():.2f}, max {seconds.max():.2f}. "
        f"Paper: {PAPER_SECONDS} on a GeForce GTX 1080 Ti."
    )


def cases_table(scores: Sequence[FemurScore]) -> Table:
    """One row per femur with every figure that the tables sum up."""
    measures = [field.name for field in fields(SurfaceScore)]
    head = ["case", "kind", "seconds"]
    head += [f"{surface}_{name}" for surface in ("periosteal", "endosteal") for name in measures]
    head += ["periosteal_entropy_bits", "endosteal_entropy_bits"]
    head += [f"{target.name}: {what} cm3" for target in TARGETS for what in ("true", "found")]
    rows: list[Row] = []
    for score in scores:
        row = [score.name, score.kind, f"{score.seconds:.2f}"]
        for surface in (score.periosteal, score.endosteal):
            values = (np.nan,) * len(measures) if surface is None else astuple(surface)
            row += [_number(value) for value in values]
        row += [_number(score.periosteal_entropy_bits), _number(score.endosteal_entropy_bits)]
        for true, found in zip(score.true_cm3, score.found_cm3, strict=True):
            row += [_number(true), _number(found)]
        rows.append(tuple(row))
    return Table(tuple(head), tuple(rows))


def _number(value: float) -> str:
    """Empty where there is none."""
    return "" if np.isnan(value) else f"{value:.5g}"
