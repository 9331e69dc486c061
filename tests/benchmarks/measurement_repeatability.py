"""How far measurements of one femur scatter over poses and voxel sizes, on exact masks.

`python -m tests.benchmarks.measurement_repeatability` scans generated femurs, in closed form and so
without any resampling, under random rotations, shifts and spacings, and prints the coefficient of
variation of every measurement. Published precision of QCT: thickness 1.89-2.69 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FieldOfViewCuts
from service.domain.measurements import FemurMeasurements
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.regions import divide
from service.sample.anatomy import draw_anatomy
from service.sample.femur import FemurAnatomy

Field = npt.NDArray[np.float32]

MAX_TURN_DEG = 15.0
SPACINGS_MM = (0.7, 1.1)
"""Drawn evenly between these, slices apart from pixels."""

ABOVE_HEAD_MM = 12.0
BELOW_HEAD_MM = 150.0
HALF_WIDTH_MM = 85.0
"""The box around the head that is looked for bone, before it is turned."""

BLOCK_SLICES = 16


def scans(femur: FemurAnatomy, count: int, seed: int) -> Iterator[VolumeGeometry]:
    """Grids over one femur; the first is straight, with voxels of 0.9 mm."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        turn, shift = np.zeros(3), np.zeros(3)
        in_plane = between = 0.9
        if number:
            axis = rng.normal(size=3)
            turn = np.radians(rng.uniform(0, MAX_TURN_DEG)) * axis / np.linalg.norm(axis)
            shift = rng.uniform(-0.5, 0.5, size=3)
            in_plane, between = rng.uniform(*SPACINGS_MM, size=2)
        yield grid_over(femur, turn, shift, SpacingMm(between, in_plane, in_plane))


def grid_over(
    femur: FemurAnatomy, turn: FloatArray, shift_mm: FloatArray, spacing: SpacingMm
) -> VolumeGeometry:
    up = ABOVE_HEAD_MM + femur.head_radius_mm
    shape = (
        int((up + BELOW_HEAD_MM) / spacing.z),
        int(2 * HALF_WIDTH_MM / spacing.y),
        int(2 * HALF_WIDTH_MM / spacing.x),
    )
    rotation = Rotation.from_rotvec(turn).as_matrix()
    start = rotation @ np.array([-HALF_WIDTH_MM, -HALF_WIDTH_MM, -BELOW_HEAD_MM])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([spacing.x, spacing.y, spacing.z])
    affine[:3, 3] = np.array(femur.head_centre_lps_mm) + start + shift_mm
    return VolumeGeometry(shape, affine)


def exact_masks(femur: FemurAnatomy, geometry: VolumeGeometry) -> FemurMasks:
    """Both surfaces on a grid, each voxel by its centre."""
    outer, inner = exact_fields(femur, geometry)
    return FemurMasks(femur.side, outer < 0, inner < 0, geometry)


def exact_fields(femur: FemurAnatomy, geometry: VolumeGeometry) -> tuple[Field, Field]:
    """Both surfaces as fields on a grid, negative inside; only the outer one is a distance."""
    depth, rows, columns = geometry.shape_zyx
    outer = np.zeros(geometry.shape_zyx, dtype=np.float32)
    inner = np.zeros_like(outer)
    for start in range(0, depth, BLOCK_SLICES):
        z = np.arange(start, min(start + BLOCK_SLICES, depth))
        index = np.stack(np.meshgrid(z, np.arange(rows), np.arange(columns), indexing="ij"), -1)
        points = femur.to_femur(geometry.index_to_lps(index))
        surface = femur.periosteal_field(points)
        outer[z] = surface
        inner[z] = surface + femur.cortical_thickness_mm(points)
    return outer, inner


def measurements(femur: FemurAnatomy, geometry: VolumeGeometry) -> FemurMeasurements:
    """Regions and measurements of the exact masks; HU are 1000 in the cortex and 200 inside."""
    masks = exact_masks(femur, geometry)
    hu = np.where(masks.endosteal, 200, np.where(masks.periosteal, 1000, 0)).astype(np.int16)
    return measure_femur(masks, hu, divide(masks, FieldOfViewCuts())).numbers


def values(measured: FemurMeasurements) -> dict[str, float]:
    """The numbers that are compared, by name; NaN where null."""
    thickness, sections = measured.cortical_thickness, measured.cross_sections
    found: dict[str, float | None] = dict(measured.dimensions)
    for region in ("head", "neck", "trochanter", "intertrochanter", "total"):
        patch = getattr(thickness, region, None)
        found[f"{region} thickness"] = patch.mean_mm if patch else None
        found[f"{region} thickness p5"] = patch.p5_mm if patch else None
    for direction in ("superior", "anterior", "inferior", "posterior"):
        quadrants = thickness.neck_quadrants if thickness else None
        patch = getattr(quadrants, direction, None)
        found[f"neck {direction} thickness"] = patch.mean_mm if patch else None
    for name, section in sections:
        for key in ("cortical_area_mm2", "section_modulus_frontal_mm3", "buckling_ratio"):
            found[f"{name} {key}"] = getattr(section, key, None)
    return {name: np.nan if value is None else value for name, value in found.items()}


def coefficients_of_variation(femur: FemurAnatomy, count: int, seed: int = 0) -> dict[str, float]:
    """Percent, by measurement, over ``count`` scans of one femur."""
    rows = [values(measurements(femur, grid)) for grid in scans(femur, count, seed)]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: float(100 * np.std(column, ddof=1) / abs(np.mean(column)))
        for name, column in table.items()
        if np.isfinite(column).all()
    }


def main() -> None:
    """Print a table: the measurement, and its coefficient of variation per femur."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    columns = []
    for seed in arguments.seeds:
        anatomy = draw_anatomy(seed)
        femur = anatomy.left if seed % 2 == 0 else anatomy.right
        columns.append(coefficients_of_variation(femur, arguments.scans, seed))
        print(f"seed {seed}, {femur.side.value}: {len(columns[-1])} measured", flush=True)
    print("| Measurement | CV % per femur |")
    print("| --- | --- |")
    for name in columns[0]:
        cells = ", ".join(f"{column.get(name, np.nan):.2f}" for column in columns)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
