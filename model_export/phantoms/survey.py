"""What the phantoms are like: measures over many of them, and a montage.

``python -m model_export.phantoms.survey --out DIR`` writes ``survey.md`` and ``phantoms.png``,
which ``docs/phantoms.md`` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from model_export.cases import TrainingCase
from model_export.phantom import TRAINING_SEED, anatomical_case
from model_export.phantoms.anatomy import HipSide, PhantomAnatomy, draw_phantom
from model_export.phantoms.bones import BoneFields, femur_fields, pelvis_fields
from service.sample.distance_fields import FloatArray, Points, Vector

AGE_LIMITS = (50.0, 70.0)
"""Between the age groups of the table."""

REACH_MM = 45.0
"""The joint is looked at within this of the head's centre."""

ROI_MM = 4.0
"""Radius of the ball in which HU are averaged."""

WINDOW_HU = (-180.0, 850.0)
"""Grey levels of the montage."""


class Measures(NamedTuple):
    """Of one femur: age in years, lengths in mm, densities in HU at 120 kVp."""

    age: float
    joint_gap_mm: float
    head_radius_mm: float
    neck_shaft_angle_deg: float
    head_cortex_mm: float
    superior_neck_mm: float
    inferior_neck_mm: float
    trochanter_mm: float
    shaft_mm: float
    head_hu: float
    compressive_hu: float
    neck_hu: float
    ward_hu: float
    trochanter_hu: float
    marrow_hu: float
    cortical_hu: float
    pelvic_hu: float


def measure(anatomy: PhantomAnatomy, side: HipSide) -> Measures:
    """Reads the measures of a femur from the fields it is rendered from."""
    femur = femur_fields(anatomy, side)
    placed = side.placed
    length, radius, s = placed.neck_length_mm, placed.head_radius_mm, placed.scale
    surface = Points.of(side.framed.surface.points)
    along, across, up = placed.neck_section(surface)
    upward = up / np.maximum(np.hypot(across, up), 1)
    mid_neck = (along > 0.5 * length) & (along < length - 1.05 * radius)
    thickness = femur.thickness.at(surface)
    x, y, z = placed.head_centre

    def at_neck(share: float, up_mm: float) -> Vector:
        point = np.array(placed.neck_base) + share * length * np.array(placed.neck_direction)
        return float(point[0]), float(point[1]), float(point[2]) + up_mm * s

    def roi(centre: Vector) -> float:
        grid = femur.filling.nodes()
        inside = grid.minus(centre).length() < ROI_MM
        return float(femur.filling.values[inside].mean())

    return Measures(
        age=anatomy.subject.age,
        joint_gap_mm=_joint_gap_mm(anatomy, side, femur),
        head_radius_mm=radius,
        neck_shaft_angle_deg=placed.shape.neck_shaft_angle_deg,
        head_cortex_mm=float(np.median(thickness[along > length + 0.2 * radius])),
        superior_neck_mm=float(np.median(thickness[mid_neck & (upward > 0.9)])),
        inferior_neck_mm=float(np.median(thickness[mid_neck & (upward < -0.9)])),
        trochanter_mm=float(np.median(thickness[(surface.x > 18 * s) & (surface.z > 20 * s)])),
        shaft_mm=float(np.median(thickness[np.abs(surface.z + 60) < 10])),
        head_hu=roi((x, y + 0.45 * radius, z)),
        compressive_hu=roi((x + 2 * s, y, z + 0.1 * radius)),
        neck_hu=roi(at_neck(0.45, 0.0)),
        ward_hu=roi(at_neck(0.3, -3.0)),
        trochanter_hu=roi((9 * s, 3 * s, 0.6 * z)),
        marrow_hu=roi((0.0, 0.0, -70.0)),
        cortical_hu=anatomy.subject.tissue.cortical,
        pelvic_hu=anatomy.subject.tissue.pelvic,
    )


def _joint_gap_mm(anatomy: PhantomAnatomy, side: HipSide, femur: BoneFields) -> float:
    """Median distance to the head from the pelvis's surface above it."""
    centre = np.array(side.placed.head_centre_lps_mm)
    low, high = centre - REACH_MM, centre + REACH_MM
    box = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    pelvis = pelvis_fields(anatomy, side, femur, box)
    nodes = pelvis.surface.nodes()
    x, y, z = (float(v) for v in centre)
    up = nodes.minus((x, y, z))
    steep = up.z > 0.85 * up.length()
    gaps: FloatArray = femur.surface.at(side.placed.points_to_femur(nodes))
    at_roof = steep & (np.abs(pelvis.surface.values) < 0.5) & (gaps < 10)
    return float(np.median((gaps + pelvis.surface.values)[at_roof]))


def table(measures: list[Measures]) -> str:
    """Mean and range of every measure by age group, as Markdown."""
    groups: list[tuple[str, Callable[[float], bool]]] = [
        (f"< {AGE_LIMITS[0]:.0f} years", lambda age: age < AGE_LIMITS[0]),
        (
            f"{AGE_LIMITS[0]:.0f}-{AGE_LIMITS[1]:.0f}",
            lambda age: AGE_LIMITS[0] <= age < AGE_LIMITS[1],
        ),
        (f">= {AGE_LIMITS[1]:.0f}", lambda age: age >= AGE_LIMITS[1]),
    ]
    columns = [np.array([m for m in measures if chosen(m.age)]) for _, chosen in groups]
    titles = [f"{name} (n = {len(c)})" for (name, _), c in zip(groups, columns, strict=True)]
    lines = ["| measure | " + " | ".join(titles) + " |", "|---" * 4 + "|"]
    for index, name in enumerate(Measures._fields):
        digits = 0 if name.endswith(("hu", "deg", "age")) else 1
        cells = [
            f"{c[:, index].mean():.{digits}f} ({c[:, index].min():.{digits}f} to "
            f"{c[:, index].max():.{digits}f})"
            if len(c)
            else "-"
            for c in columns
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


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
    upper = np.argwhere(case.periosteal[max(top - 45, 0) : top + 1])
    medial = upper[np.argsort(upper[:, 2])[: len(upper) // 8]]
    z, y, _ = medial.mean(axis=0)
    return int(z) + max(top - 45, 0), int(y)


def main(
    out: Annotated[Path, typer.Option(help="Folder for survey.md and phantoms.png.")],
    count: Annotated[int, typer.Option(help="Phantoms to measure.")] = 30,
    first_seed: Annotated[int, typer.Option(help="Of the phantoms.")] = TRAINING_SEED,
) -> None:
    """Measure phantoms and draw twelve of them."""
    out.mkdir(parents=True, exist_ok=True)
    measures = []
    for seed in range(first_seed, first_seed + count):
        anatomy = draw_phantom(seed)
        measures.append(measure(anatomy, anatomy.sides[seed % 2]))
    (out / "survey.md").write_text(table(measures))
    shown = [(seed, seed % 2) for seed in range(first_seed, first_seed + 12)]
    titles = [f"seed {seed}, {draw_phantom(seed).subject.age:.0f} years" for seed, _ in shown]
    montage([anatomical_case(*one) for one in shown], titles, out / "phantoms.png")


if __name__ == "__main__":
    typer.run(main)
