"""How far volumes and measurements of one femur scatter over poses, voxel sizes and noise.

``python -m tests.benchmarks.measurement_repeatability`` scans generated femurs, with exact masks of
their continuous surfaces, under random rotations, shifts, spacings and noise of the contours, and
prints the coefficient of variation of every volume and measurement. ``--anatomical`` takes femurs
of the shape model instead of closed forms, ``--networks`` their rendered CT through both networks
(``FEMURCT_THREADS=1`` spares the machine). Published precision of QCT: volume 0.20-1.82 %,
thickness 1.89-2.69 %. Phantoms are phantoms: nothing here is a precision in patients.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from service.domain.findings import FemurSide
from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FieldOfViewCuts
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.measurements import measure
from service.pipeline.regions import divide
from service.sample.anatomy import draw_anatomy
from service.sample.femur import FemurAnatomy
from tests.benchmarks.in_process import networks
from tests.benchmarks.phantom_femur import phantom_femur
from tests.benchmarks.segmented_phantom import segmented_phantom

Field = npt.NDArray[np.float32]

MAX_TURN_DEG = 15.0
SPACINGS_MM = (0.7, 1.1)
"""Drawn evenly between these, slices apart from pixels."""

NOISE_MM = 0.15
NOISE_VOXELS = 1.0
"""Contours move by so much (standard deviation, as far as the networks' lie from such phantoms on
average), smoothly over about so many voxels."""

ABOVE_HEAD_MM = 12.0
BELOW_HEAD_MM = 150.0
HALF_WIDTH_MM = 85.0
"""The box around a closed form's head that is looked for bone, before it is turned."""

BLOCK_SLICES = 16

REGIONS = ("head", "neck", "trochanter", "intertrochanter", "combination", "total")


class Scan(NamedTuple):
    """How a femur is scanned: rotation vector in radians, shift in mm, and voxels."""

    turn: FloatArray
    shift_mm: FloatArray
    spacing: SpacingMm


STRAIGHT = Scan(np.zeros(3), np.zeros(3), SpacingMm(0.9, 0.9, 0.9))


class ContinuousFemur(Protocol):
    """A femur whose surfaces are known everywhere."""

    @property
    def side(self) -> FemurSide:
        """Left or right."""

    def grid(self, turn: FloatArray, shift_mm: FloatArray, spacing: SpacingMm) -> VolumeGeometry:
        """Voxels over it."""

    def surfaces(self, points: FloatArray) -> tuple[Field, Field]:
        """Both surfaces as fields at LPS points, negative inside; only the outer one a distance."""


@dataclass(frozen=True, eq=False)
class ClosedFormFemur:
    """A femur of the sample's hips."""

    anatomy: FemurAnatomy

    @property
    def side(self) -> FemurSide:
        """Left or right."""
        return self.anatomy.side

    def grid(self, turn: FloatArray, shift_mm: FloatArray, spacing: SpacingMm) -> VolumeGeometry:
        """A turned box about the head."""
        up = ABOVE_HEAD_MM + self.anatomy.head_radius_mm
        shape = (
            int((up + BELOW_HEAD_MM) / spacing.z),
            int(2 * HALF_WIDTH_MM / spacing.y),
            int(2 * HALF_WIDTH_MM / spacing.x),
        )
        rotation = Rotation.from_rotvec(turn).as_matrix()
        start = rotation @ np.array([-HALF_WIDTH_MM, -HALF_WIDTH_MM, -BELOW_HEAD_MM])
        affine = np.eye(4)
        affine[:3, :3] = rotation @ np.diag([spacing.x, spacing.y, spacing.z])
        affine[:3, 3] = np.array(self.anatomy.head_centre_lps_mm) + start + shift_mm
        return VolumeGeometry(shape, affine)

    def surfaces(self, points: FloatArray) -> tuple[Field, Field]:
        """Both surfaces as fields at LPS points."""
        at = self.anatomy.to_femur(points)
        outer = self.anatomy.periosteal_field(at)
        return outer, outer + self.anatomy.cortical_thickness_mm(at)


def scans(count: int, seed: int) -> Iterator[Scan]:
    """The first is straight, with voxels of 0.9 mm."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        if number == 0:
            yield STRAIGHT
            continue
        axis = rng.normal(size=3)
        turn = np.radians(rng.uniform(0, MAX_TURN_DEG)) * axis / np.linalg.norm(axis)
        shift = rng.uniform(-0.5, 0.5, size=3)
        in_plane, between = rng.uniform(*SPACINGS_MM, size=2)
        yield Scan(turn, shift, SpacingMm(between, in_plane, in_plane))


def exact_fields(femur: ContinuousFemur, geometry: VolumeGeometry) -> tuple[Field, Field]:
    """Both surfaces as fields on a grid, negative inside; only the outer one is a distance."""
    depth, rows, columns = geometry.shape_zyx
    outer = np.zeros(geometry.shape_zyx, dtype=np.float32)
    inner = np.zeros_like(outer)
    for start in range(0, depth, BLOCK_SLICES):
        z = np.arange(start, min(start + BLOCK_SLICES, depth))
        index = np.stack(np.meshgrid(z, np.arange(rows), np.arange(columns), indexing="ij"), -1)
        outer[z], inner[z] = femur.surfaces(geometry.index_to_lps(index))
    return outer, inner


def exact_masks(femur: ContinuousFemur, geometry: VolumeGeometry) -> FemurMasks:
    """Both surfaces on a grid, each voxel by its centre."""
    outer, inner = exact_fields(femur, geometry)
    return FemurMasks(femur.side, outer < 0, inner < 0, geometry)


def noisy_masks(
    femur: ContinuousFemur, geometry: VolumeGeometry, noise_mm: float, rng: np.random.Generator
) -> FemurMasks:
    """The exact masks with contours that are off by smooth noise, each surface by its own."""
    outer, inner = (
        field + noise_mm * _noise(field.shape, rng) for field in exact_fields(femur, geometry)
    )
    return FemurMasks(femur.side, outer < 0, (inner < 0) & (outer < 0), geometry)


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), NOISE_VOXELS)
    noise: Field = smooth / smooth.std()
    return noise


def values(masks: FemurMasks) -> dict[str, float]:
    """The numbers that are compared, by name; NaN where null.

    HU are 1000 in the cortex and 200 inside.
    """
    regions = divide(masks, FieldOfViewCuts())
    hu = np.where(masks.endosteal, 200, np.where(masks.periosteal, 1000, 0)).astype(np.int16)
    measured = measure_femur(masks, hu, regions).numbers
    volumes = measure(masks, regions)
    found: dict[str, float | None] = {}
    for region in REGIONS:
        compartments = getattr(volumes, region)
        found[f"{region} volume"] = getattr(compartments, "integral", None)
        found[f"{region} cortical volume"] = getattr(compartments, "cortical", None)
    thickness, sections = measured.cortical_thickness, measured.cross_sections
    found |= dict(measured.dimensions)
    for region in (*REGIONS[:4], "total"):
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


def coefficients_of_variation(
    femur: ContinuousFemur, count: int, seed: int = 0, noise_mm: float = NOISE_MM
) -> dict[str, float]:
    """Percent, by measurement, over ``count`` scans of one femur's exact masks."""
    rng = np.random.default_rng((seed, 1))
    return scatter(
        noisy_masks(femur, femur.grid(*scan), noise_mm, rng) for scan in scans(count, seed)
    )


def scatter(scanned: Iterable[FemurMasks]) -> dict[str, float]:
    """Coefficient of variation in percent, by measurement; what one scan lacks is left out."""
    rows = [values(masks) for masks in scanned]
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: float(100 * np.std(column, ddof=1) / abs(np.mean(column)))
        for name, column in table.items()
        if np.isfinite(column).all()
    }


def _scattered(arguments: argparse.Namespace, seed: int) -> dict[str, float]:
    if arguments.networks:
        phantom = segmented_phantom(seed, seed % 2, networks())
        return scatter(phantom.masks(*scan) for scan in scans(arguments.scans, seed))
    femur: ContinuousFemur
    if arguments.anatomical:
        femur = phantom_femur(seed, seed % 2)
    else:
        hips = draw_anatomy(seed)
        femur = ClosedFormFemur(hips.left if seed % 2 == 0 else hips.right)
    return coefficients_of_variation(femur, arguments.scans, seed, arguments.noise_mm)


def main() -> None:
    """Print a table: the measurement, and its coefficient of variation per femur."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--noise-mm", type=float, default=NOISE_MM)
    parser.add_argument("--anatomical", action="store_true", help="femurs of the shape model")
    parser.add_argument("--networks", action="store_true", help="their CT, through the networks")
    arguments = parser.parse_args()
    columns = []
    for seed in arguments.seeds:
        columns.append(_scattered(arguments, seed))
        print(f"seed {seed}: {len(columns[-1])} measured", flush=True)
    print("| Measurement | CV % per femur |")
    print("| --- | --- |")
    for name in columns[0]:
        cells = ", ".join(f"{column.get(name, np.nan):.2f}" for column in columns)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
