"""How far the service's landmarks lie from those of the continuous surface.

``python -m tests.benchmarks.landmark_accuracy --shapes 50 [--out CSV]`` draws anatomical phantoms,
left and right in turns, takes the landmarks of ``regions/v1`` from each femur's surface with the
second implementation in ``mesh_landmarks``, scans the exact mask in a random pose with voxels of
0.5 to 1.5 mm, divides it as the service does, and prints the median and the worst difference.
Phantoms are phantoms: nothing here says how well the landmarks are found in patients.
"""

from __future__ import annotations

import csv
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from skimage.measure import marching_cubes

from model_export.phantoms.field_grid import FieldGrid
from service.domain.findings import Plane
from service.domain.geometry import SpacingMm
from service.domain.imaging import FemurMasks, FemurRegions, FieldOfViewCuts
from service.pipeline.regions import divide
from tests.benchmarks.mesh_landmarks import MeshLandmarks, MeshPlane, mesh_landmarks
from tests.benchmarks.mesh_sections import Floats, Mesh, NoLandmarkError, angle_deg, outline
from tests.benchmarks.phantom_femur import PhantomFemur, phantom_femur

FIRST_SEED = 6000
POSE_STREAM = 31
"""Keeps the draws of pose and voxel size apart from the others of the same seed."""

MAX_TURN_DEG = 20.0
VOXEL_MM = (0.5, 1.5)
"""The scan is turned by up to so much about any axis; pixels and slices are drawn evenly."""

OUTSIDE_MM = 5.0
"""Closes the surface at the cut end of the phantom's shaft."""

ON_PLANE_MM = 1e-3
"""Voxel centres as near to the distal plane may fall on either side by rounding."""

NO_TRUTH = "no truth"
"""Flag of a phantom without landmarks to compare with."""

PERPENDICULAR = 1e-6
"""Cosine under which planes stand on each other."""

GOALS = {"head_mm": 1.0, "neck_axis_deg": 2.0, "neck_shaft_deg": 2.0} | dict.fromkeys(
    ("head_neck_mm", "neck_trochanter_mm", "trochanter_intertrochanter_mm", "distal_mm"), 1.5
)
"""The worst that each may be."""


@dataclass(frozen=True)
class LandmarkErrors:
    """One femur; NaN where the service found nothing.

    Attributes:
        head_mm, radius_mm: between the head's centres and radii.
        neck_axis_deg, shaft_axis_deg: between the axes.
        neck_shaft_deg: between the neck-shaft angles.
        head_neck_mm, neck_trochanter_mm, trochanter_intertrochanter_mm, distal_mm: mean distance
            of the bone's outline in the true plane from the found plane.
        lesser_mm: between the lesser trochanters, along the shaft.
        partition_exact: whether the four regions are the mask above the found distal plane.
    """

    seed: int
    side: str
    slice_mm: float
    pixel_mm: float
    turn_deg: float
    head_mm: float = np.nan
    radius_mm: float = np.nan
    neck_axis_deg: float = np.nan
    shaft_axis_deg: float = np.nan
    neck_shaft_deg: float = np.nan
    head_neck_mm: float = np.nan
    neck_trochanter_mm: float = np.nan
    trochanter_intertrochanter_mm: float = np.nan
    distal_mm: float = np.nan
    lesser_mm: float = np.nan
    rules: str = ""
    partition_exact: bool = False
    flags: tuple[str, ...] = field(default=())


@dataclass(frozen=True, eq=False)
class TrueFemur:
    """A phantom's femur with its surface and landmarks in the femur's own frame."""

    phantom: PhantomFemur
    mesh: Mesh
    landmarks: MeshLandmarks


def true_femur(seed: int, side: int) -> TrueFemur:
    """The left (0) or right (1) femur of a phantom.

    Raises:
        NoLandmarkError: where its surface lacks one.
    """
    phantom = phantom_femur(seed, side)
    if leaves_grid(phantom.bone.surface):
        raise NoLandmarkError("the phantom's surface runs off its grid")
    mesh = zero_level(phantom.bone.surface)
    placed = phantom.hip.placed
    head = np.array(placed.head_centre)
    return TrueFemur(
        phantom, mesh, mesh_landmarks(mesh, head, placed.head_radius_mm, foot=np.zeros(3))
    )


def leaves_grid(grid: FieldGrid) -> bool:
    """Whether bone meets the grid elsewhere than at the cut end of the shaft.

    A wrong normal among the shape model's points draws a bar of false bone out of the surface.
    """
    inside = grid.values <= 0
    sides = (inside[-1], inside[:, 0], inside[:, -1], inside[:, :, 0], inside[:, :, -1])
    return any(bool(face.any()) for face in sides)


def zero_level(grid: FieldGrid) -> Mesh:
    """The surface where a field is 0, closed where the grid cuts it."""
    padded = np.pad(grid.values, 1, constant_values=OUTSIDE_MM)
    zyx, faces, _, _ = marching_cubes(padded, 0.0, gradient_direction="ascent")
    points = (zyx[:, ::-1] - 1.0) * grid.step_mm + np.array(grid.origin_mm)
    mesh = Mesh(points.astype(np.float64), faces.astype(np.int64))
    return mesh if mesh.volume_mm3() > 0 else Mesh(mesh.points, mesh.faces[:, ::-1])


def measured(seed: int, side: int) -> LandmarkErrors:
    """One femur in one random scan."""
    rng = np.random.default_rng((seed, POSE_STREAM))
    axis = rng.normal(size=3)
    turn = rng.uniform(0, MAX_TURN_DEG)
    in_plane, between = (float(v) for v in rng.uniform(*VOXEL_MM, size=2))
    scan = LandmarkErrors(
        seed, ("left", "right")[side], round(between, 3), round(in_plane, 3), round(float(turn), 1)
    )
    try:
        femur = true_femur(seed, side)
    except NoLandmarkError as error:
        return replace(scan, flags=(f"{NO_TRUTH}: {error}",))
    vector = np.radians(turn) * axis / np.linalg.norm(axis)
    spacing = SpacingMm(between, in_plane, in_plane)
    grid = femur.phantom.grid(vector, rng.uniform(-1, 0, size=3) * between, spacing)
    masks = femur.phantom.masks(grid)
    regions = divide(masks, FieldOfViewCuts())
    return compared(scan, femur, masks, regions)


def compared(
    scan: LandmarkErrors, femur: TrueFemur, masks: FemurMasks, regions: FemurRegions
) -> LandmarkErrors:
    """The scan with the differences of what was found in it from the truth filled in."""
    true, found, planes = femur.landmarks, regions.geometry, regions.geometry.planes

    def away(point: tuple[float, ...] | None, truth: Floats) -> Floats:
        return (
            np.full(3, np.nan) if point is None else np.array(point) - femur.phantom.to_lps(truth)
        )

    def turned(vector: tuple[float, ...] | None, truth: Floats) -> float:
        return (
            np.nan
            if vector is None
            else angle_deg(np.array(vector), femur.phantom.direction_to_lps(truth))
        )

    def less(value: float | None, truth: float) -> float:
        return np.nan if value is None else abs(value - truth)

    truth = true.planes()
    return replace(
        scan,
        head_mm=float(np.linalg.norm(away(found.head_centre_lps_mm, true.head))),
        radius_mm=less(found.head_radius_mm, true.radius_mm),
        neck_axis_deg=turned(found.neck_axis_lps, true.neck_axis),
        shaft_axis_deg=turned(found.shaft_axis_lps, true.shaft_axis),
        neck_shaft_deg=less(found.neck_shaft_angle_deg, true.neck_shaft_angle_deg),
        head_neck_mm=plane_distance(femur, truth.head_neck, planes.head_neck),
        neck_trochanter_mm=plane_distance(femur, truth.neck_trochanter, planes.neck_trochanter),
        trochanter_intertrochanter_mm=plane_distance(
            femur, truth.trochanter_intertrochanter, planes.trochanter_intertrochanter
        ),
        distal_mm=plane_distance(femur, truth.distal, planes.distal),
        lesser_mm=abs(
            float(
                away(found.lesser_trochanter_lps_mm, true.lesser)
                @ femur.phantom.direction_to_lps(true.shaft_axis)
            )
        ),
        rules=f"{true.rule} {found.neck_trochanter_rule}",
        partition_exact=partition_exact(masks, regions),
        flags=tuple(flag.code.value for flag in regions.flags),
    )


def plane_distance(femur: TrueFemur, true: MeshPlane, found: Plane | None) -> float:
    """Mean distance of the bone's outline in the true plane from the found one, mm.

    The trochanter|intertrochanter plane, along the neck's axis, counts where it divides: lateral
    of the neck.
    """
    piece = outline(femur.mesh, true.point, true.normal)
    if found is None or piece is None:
        return np.nan
    middles = (piece.starts + piece.ends) / 2
    lengths = np.linalg.norm(piece.ends - piece.starts, axis=1)
    neck = femur.landmarks.planes().neck_trochanter
    if abs(true.normal @ neck.normal) < PERPENDICULAR:
        lengths = np.where((middles - neck.point) @ neck.normal > 0, lengths, 0.0)
    off = np.abs((femur.phantom.to_lps(middles) - found.point_lps_mm) @ np.array(found.normal_lps))
    return float(np.average(off, weights=lengths))


def partition_exact(masks: FemurMasks, regions: FemurRegions) -> bool:
    """Whether the four regions are the mask above the distal plane, voxel for voxel."""
    plane = regions.geometry.planes.distal
    if plane is None:
        return False
    voxels = np.argwhere(masks.periosteal)
    off = masks.geometry.index_to_lps(voxels) - plane.point_lps_mm
    height = off @ np.array(plane.normal_lps)
    labels = regions.labels[tuple(voxels.T)]
    clear = np.abs(height) > ON_PLANE_MM
    all_above = bool(((labels > 0) == (height > 0))[clear].all())
    return all_above and not bool(regions.labels[~masks.periosteal].any())


def table(rows: list[LandmarkErrors]) -> str:
    """Markdown: median, 95th percentile and worst of every difference beside its goal.

    Phantoms whose surface gives no truth are left out and counted.
    """
    drawn = len(rows)
    rows = [row for row in rows if not any(flag.startswith(NO_TRUTH) for flag in row.flags)]
    lines = ["| Difference | median | 95 % | worst | goal | found |", "| --- " * 6 + "|"]
    for name in (f.name for f in fields(LandmarkErrors)[5:15]):
        values = np.array([getattr(row, name) for row in rows])
        seen = values[np.isfinite(values)]
        if seen.size == 0:
            continue
        goal = GOALS.get(name)
        lines.append(
            f"| {name} | {np.median(seen):.2f} | {np.percentile(seen, 95):.2f} | {seen.max():.2f} "
            f"| {'-' if goal is None else goal} | {seen.size} of {len(rows)} |"
        )
    exact = sum(row.partition_exact for row in rows)
    counts = f"Partition exact: {exact} of {len(rows)}. Without a truth: {drawn - len(rows)}."
    return "\n".join([*lines, "", counts])


def main(
    shapes: Annotated[int, typer.Option(min=1)] = 50,
    first_seed: Annotated[int, typer.Option(min=0)] = FIRST_SEED,
    out: Annotated[Path | None, typer.Option(help="CSV, one row per femur.")] = None,
) -> None:
    """Print how far landmarks lie from the truth; even seeds left, odd seeds right."""
    rows = []
    with out.open("w", newline="") if out else nullcontext(sys.stderr) as file:
        writer = csv.writer(file)
        names = [f.name for f in fields(LandmarkErrors)]
        writer.writerow(names)
        for seed in range(first_seed, first_seed + shapes):
            row = measured(seed, seed % 2)
            rows.append(row)
            values = [getattr(row, name) for name in names]
            writer.writerow(f"{v:.4f}" if isinstance(v, float) else v for v in values)
            file.flush()
    print(table(rows))


if __name__ == "__main__":
    typer.run(main)
