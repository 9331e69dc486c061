"""Whether fine slices and pixels score worse: an evaluation of anatomical phantoms, grouped.

``python -m tests.benchmarks.accuracy_by_protocol OUT`` reads ``OUT/cases.csv`` of
``python -m model_export evaluate`` and prints Markdown; what each phantom was scanned with is drawn
anew from the seed in its name.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from model_export.phantoms.protocol import Protocol, draw_protocol

SIDES = ("left", "right")

GROUPS: tuple[tuple[str, Callable[[Protocol], bool]], ...] = (
    ("slices to 1.25 mm", lambda p: p.slice_mm <= 1.25),
    ("slices over 1.25 mm", lambda p: p.slice_mm > 1.25),
    ("pixels to 0.7 mm", lambda p: p.pixel_mm <= 0.7),
    ("pixels over 0.7 mm", lambda p: p.pixel_mm > 0.7),
    ("soft kernels", lambda p: p.sharpening < 0.4),
    ("bone kernels", lambda p: p.sharpening >= 0.4),
)
"""Of slices and pixels the finer half comes first, which is to score no worse than the other."""


@dataclass(frozen=True)
class ScoredPhantom:
    """One row of ``cases.csv`` and its scan."""

    protocol: Protocol
    periosteal_dice: float
    endosteal_dice: float


def read_phantoms(cases_csv: Path) -> list[ScoredPhantom]:
    """The rows named ``anatomical_<seed>_<side>``."""
    phantoms = []
    with cases_csv.open(newline="") as file:
        for row in csv.DictReader(file):
            kind, seed, side = row["case"].rsplit("_", 2)
            if kind == "anatomical":
                protocol = draw_protocol(int(seed), SIDES.index(side))
                dice = (float(row[f"{s}_dice"]) for s in ("periosteal", "endosteal"))
                phantoms.append(ScoredPhantom(protocol, *dice))
    return phantoms


def main(
    evaluation: Annotated[Path, typer.Argument(help="Folder written by `evaluate`.")],
) -> None:
    """Mean and lowest DSC of each group."""
    phantoms = read_phantoms(evaluation / "cases.csv")
    print("| Scan | Femurs | Periosteal DSC (min) | Endosteal DSC (min) |\n|---|---|---|---|")
    for label, belongs in GROUPS:
        group = [p for p in phantoms if belongs(p.protocol)]
        if not group:
            continue
        columns = [[p.periosteal_dice for p in group], [p.endosteal_dice for p in group]]
        cells = (f"{statistics.fmean(dice):.4f} ({min(dice):.4f})" for dice in columns)
        print(f"| {label} | {len(group)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    typer.run(main)
