"""What the phantoms are like: measures over many of them beside the literature, and a montage.

``python -m model_export.phantoms.survey --out DIR`` writes ``survey.md`` and ``phantoms.png``,
which ``docs/phantoms.md`` shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from model_export.cases import TrainingCase, load_case
from model_export.phantom import TRAINING_SEED, anatomical_case
from model_export.phantoms.anatomy import draw_phantom
from model_export.phantoms.measures import Measures, measure
from model_export.phantoms.protocol import draw_protocol

AGE_LIMITS = (50.0, 70.0)
"""Between the age groups of the table."""

SHOWN = 12
"""Phantoms in the montage."""

WINDOW_HU = (-180.0, 850.0)
"""Grey levels of the montage."""

UPPER_MM = 45
"""The head lies within this of the top of the bone in view."""


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        title: with the unit.
        read: the value of a femur, or None where the line is not about it.
        digits: after the point.
        published: what the literature says, or what was chosen.
        source: numbers in the list of ``docs/phantoms.md``.
    """

    title: str
    read: Callable[[Measures], float | None]
    digits: int
    published: str
    source: str


CHOICE = "a choice of ours from the real series"

ROWS = (
    Row("age, years", lambda m: m.age, 0, "25 to 90 is a choice of ours", ""),
    Row(
        "joint gap in the roof, healthy, mm",
        lambda m: None if m.worn else m.joint_gap_mm,
        1,
        "4.19, SD 0.92, range 2-7",
        "[1]",
    ),
    Row(
        "joint gap in the roof, worn, mm",
        lambda m: m.joint_gap_mm if m.worn else None,
        1,
        "1.0-2.8 is a choice of ours",
        "",
    ),
    Row("head radius, mm", lambda m: m.head_radius_mm, 1, "-", ""),
    Row("neck-shaft angle, degrees", lambda m: m.neck_shaft_angle_deg, 0, "-", ""),
    Row(
        "cortex of the head, healthy, mm",
        lambda m: None if m.worn else m.head_cortex_mm,
        1,
        "thin",
        "[4]",
    ),
    Row(
        "cortex of the head, worn, mm",
        lambda m: m.head_cortex_mm if m.worn else None,
        1,
        "up to 25 % thicker per grade of osteoarthritis above",
        "[2]",
    ),
    Row(
        "cortex above the neck, mm",
        lambda m: m.superior_neck_mm,
        1,
        "1.63 at 25 years, 0.33 at 85 (superoposterior, women)",
        "[3]",
    ),
    Row(
        "cortex below the neck, mm",
        lambda m: m.inferior_neck_mm,
        1,
        "3.9 at 25 years, 3.3 at 85 (inferoanterior, women)",
        "[3]",
    ),
    Row("cortex of the greater trochanter, mm", lambda m: m.trochanter_mm, 1, "thin", "[4], [5]"),
    Row(
        "cortex of the shaft, mm",
        lambda m: m.shaft_mm,
        1,
        f"young thicker than old; medial as lateral; 4-7 is {CHOICE}",
        "[6]",
    ),
    Row("head, HU", lambda m: m.head_hu, 0, "osteoporosis below 245.5", "[7]"),
    Row(
        "principal compressive group, HU",
        lambda m: m.compressive_hu,
        0,
        "the highest of all groups",
        "[9], [10]",
    ),
    Row(
        "middle of the neck, HU",
        lambda m: m.neck_hu,
        0,
        "normal 132, osteopenia 99, osteoporosis 41",
        "[8]",
    ),
    Row(
        "Ward's triangle, HU",
        lambda m: m.ward_hu,
        0,
        "the lowest above the lesser trochanter",
        "[9], [10]",
    ),
    Row(
        "trochanteric region, HU",
        lambda m: m.trochanter_hu,
        0,
        "proximal femur: osteoporosis below 96",
        "[7]",
    ),
    Row("marrow of the shaft, HU", lambda m: m.marrow_hu, 0, f"fatty; {CHOICE}", ""),
    Row("compact bone of the shaft, HU", lambda m: m.cortical_hu, 0, CHOICE, ""),
    Row("trabecular bone of the pelvis, HU", lambda m: m.pelvic_hu, 0, CHOICE, ""),
)


def table(measures: list[Measures]) -> str:
    """Mean and range of every measure by age group, beside the literature, as Markdown."""
    young, old = AGE_LIMITS
    groups = {
        f"under {young:.0f} years": [m for m in measures if m.age < young],
        f"{young:.0f} to {old:.0f}": [m for m in measures if young <= m.age < old],
        f"from {old:.0f} on": [m for m in measures if m.age >= old],
    }
    titles = [f"{name} (n = {len(members)})" for name, members in groups.items()]
    lines = [_line("measure", *titles, "published", "source"), "|" + "---|" * 6]
    for row in ROWS:
        cells = [_cell(row, members) for members in groups.values()]
        lines.append(_line(row.title, *cells, row.published, row.source))
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(row: Row, members: list[Measures]) -> str:
    """Mean and range; how many femurs where the row is not about all of them; "-" for none."""
    values = [value for value in map(row.read, members) if value is not None]
    if not values:
        return "-"
    mean, low, high = (f"{v:.{row.digits}f}" for v in (np.mean(values), min(values), max(values)))
    counted = "" if len(values) == len(members) else f"; n = {len(values)}"
    return f"{mean} ({low} to {high}{counted})"


def panel_title(seed: int, side: int) -> str:
    """What stands above a phantom: seed, age, slice distance, joint."""
    subject = draw_phantom(seed).subject
    joint = "worn" if subject.joints[side].osteophytes else "healthy"
    return f"{seed}: {subject.age:.0f} y, {draw_protocol(seed, side).slice_mm} mm, {joint}"


def montage(cases: list[TrainingCase], titles: list[str], path: Path) -> None:
    """An axial slice through the head and a coronal one of every case, four cases a row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = -(-len(cases) // 4)
    figure, axes = pyplot.subplots(
        rows, 8, figsize=(17, 2.9 * rows), squeeze=False, layout="constrained", facecolor="black"
    )
    for pane in axes.flat:
        pane.axis("off")
    for index, (case, title) in enumerate(zip(cases, titles, strict=True)):
        axial, coronal = axes[index // 4, 2 * (index % 4) : 2 * (index % 4) + 2]
        z, y = _head_slices(case)
        low, high = WINDOW_HU
        axial.imshow(case.hu[z], cmap="gray", vmin=low, vmax=high)
        coronal.imshow(case.hu[::-1, y], cmap="gray", vmin=low, vmax=high, aspect=1 / 0.8)
        axial.set_title(title, fontsize=8, color="white")
    figure.savefig(path, dpi=75)
    pyplot.close(figure)


def _head_slices(case: TrainingCase) -> tuple[int, int]:
    """The indices z and y of slices through the head: the most medial bone near the top."""
    top = int(np.flatnonzero(case.periosteal.any(axis=(1, 2)))[-1])
    bottom = max(top - UPPER_MM, 0)
    upper = np.argwhere(case.periosteal[bottom : top + 1])
    medial = upper[np.argsort(upper[:, 2])[: len(upper) // 8 + 1]]
    z, y, _ = medial.mean(axis=0)
    return int(z) + bottom, int(y)


def main(
    out: Annotated[Path, typer.Option(help="Folder for survey.md and phantoms.png.")],
    count: Annotated[int, typer.Option(help="Phantoms to measure.", min=1)] = 24,
    first_seed: Annotated[int, typer.Option(help="Of the phantoms.")] = TRAINING_SEED + 200,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Real case that `prepare` wrote, to draw after the phantoms."),
    ] = None,
) -> None:
    """Measure phantoms, one femur each, and draw the first twelve, real cases beside them."""
    out.mkdir(parents=True, exist_ok=True)
    chosen = [(seed, seed % 2) for seed in range(first_seed, first_seed + count)]
    measures = []
    for seed, side in chosen:
        anatomy = draw_phantom(seed)
        measures.append(measure(anatomy, anatomy.sides[side]))
    shown = chosen[:SHOWN]
    started = time.process_time()
    cases = [anatomical_case(seed, side) for seed, side in shown]
    seconds = (time.process_time() - started) / len(cases)
    (out / "survey.md").write_text(f"{table(measures)}\n{_speed(len(cases), seconds)}\n")
    real = [load_case(path) for path in beside or []]
    titles = [panel_title(seed, side) for seed, side in shown]
    montage(cases + real, titles + [f"{c.name}: real" for c in real], out / "phantoms.png")


def _speed(count: int, seconds: float) -> str:
    return (
        f"Processor time per case, one thread: mean {seconds:.1f} s over {count} cases, "
        f"that is {60 / seconds:.0f} cases per minute and core."
    )


if __name__ == "__main__":
    typer.run(main)
