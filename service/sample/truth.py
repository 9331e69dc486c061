"""True regional volumes of a sample, integrated; shares no code with the pipeline."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from service.domain.findings import (
    Compartments,
    FemurGeometry,
    FemurSide,
    Frozen,
    Plane,
    RegionalVolumes,
    RegionPlanes,
)
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.errors import GeometryError
from service.sample.anatomy import HipAnatomy
from service.sample.distance_fields import FloatArray, Points
from service.sample.femur import FemurAnatomy
from service.sample.landmarks import Landmarks, find_landmarks
from service.sample.lattice import Lattice, grid_points

LATTICE_MM = 0.5
"""Step of the lattice that volumes are integrated on."""

REACH_MM = 75.0
"""Half the width of the lattice around the shaft axis; holds the head of the largest femur."""


class SampleFemurTruth(Frozen):
    """True volumes and landmarks of one femur, in the shapes of the report (LPS mm)."""

    side: FemurSide
    volumes_cm3: RegionalVolumes
    geometry: FemurGeometry


class SampleTruth(Frozen):
    """`truth.json` beside a sample series."""

    schema_: Literal["femurct.sample-truth/1"] = Field(
        default="femurct.sample-truth/1", alias="schema"
    )
    seed: int
    regions_definition: Literal["regions/v1"] = "regions/v1"
    femurs: tuple[SampleFemurTruth, ...]


def true_measures(anatomy: HipAnatomy, seed: int) -> SampleTruth:
    """Integrate both femurs.

    Args:
        anatomy: the subject.
        seed: what it was drawn from, for the record.
    """
    femurs = tuple(measure_femur(femur) for femur in anatomy.femurs)
    return SampleTruth(schema="femurct.sample-truth/1", seed=seed, femurs=femurs)


def measure_femur(femur: FemurAnatomy) -> SampleFemurTruth:
    """Measure one femur."""
    landmarks = find_landmarks(femur)
    return SampleFemurTruth(
        side=femur.side,
        volumes_cm3=_volumes(femur, landmarks),
        geometry=_report_geometry(femur, landmarks),
    )


def _volumes(femur: FemurAnatomy, landmarks: Landmarks) -> RegionalVolumes:
    points, outer, inner = _bone_cells(femur, landmarks)
    regions = _assign(landmarks, points, outer)
    cell_cm3 = LATTICE_MM**3 / 1000
    parts = {}
    for region in FemurRegion:
        chosen = regions == region
        integral = float(outer[chosen].sum(dtype=np.float64)) * cell_cm3
        trabecular = float(inner[chosen].sum(dtype=np.float64)) * cell_cm3
        parts[region] = Compartments(
            integral=integral, cortical=integral - trabecular, trabecular=trabecular
        )
    lateral = (FemurRegion.NECK, FemurRegion.TROCHANTER, FemurRegion.INTERTROCHANTER)
    return RegionalVolumes(
        head=parts[FemurRegion.HEAD],
        neck=parts[FemurRegion.NECK],
        trochanter=parts[FemurRegion.TROCHANTER],
        intertrochanter=parts[FemurRegion.INTERTROCHANTER],
        combination=_sum([parts[region] for region in lateral]),
        total=_sum(list(parts.values())),
    )


def _sum(parts: list[Compartments]) -> Compartments:
    return Compartments(
        integral=sum(part.integral for part in parts),
        cortical=sum(part.cortical for part in parts),
        trabecular=sum(part.trabecular for part in parts),
    )


def _bone_cells(femur: FemurAnatomy, landmarks: Landmarks) -> tuple[Points, FloatArray, FloatArray]:
    """Lattice cells of the femur's box (femur frame) and the share of each inside both surfaces."""
    bottom = float(landmarks.distal_point[2]) - 12.0
    top = max(
        float(landmarks.head_centre[2]) + landmarks.head_radius_mm + 6.0,
        float(landmarks.head_centre[2]) + 30.0,
    )
    counts = (int((top - bottom) / LATTICE_MM), *(2 * int(REACH_MM / LATTICE_MM),) * 2)
    # A grid in the femur frame: the geometry's world is that frame, not the patient.
    grid = VolumeGeometry.axis_aligned(
        counts, SpacingMm(*(LATTICE_MM,) * 3), (-REACH_MM, -REACH_MM, bottom)
    )
    lattice = Lattice.over(grid, 2.5)
    coarse = femur.periosteal_field(lattice.points)
    box = lattice.box_below(coarse, 1.0)
    if box is None:
        raise GeometryError("the femur's box holds no bone")
    crop = grid.crop(box)
    distance = lattice.at_voxels(coarse, box)
    near = np.nonzero(distance < 1.0)
    cells = Points.of(crop.index_to_lps(np.stack(near, axis=-1)))
    surface = femur.periosteal_field(cells)
    outer = np.zeros(crop.shape_zyx, np.float32)
    inner = np.zeros(crop.shape_zyx, np.float32)
    outer[near] = np.clip(0.5 - surface / LATTICE_MM, 0, 1)
    within = surface + femur.cortical_thickness_mm(cells)
    inner[near] = np.clip(0.5 - within / LATTICE_MM, 0, 1)
    points = grid_points(crop, [np.arange(count, dtype=np.float64) for count in crop.shape_zyx])
    return points, outer, inner


def _assign(landmarks: Landmarks, points: Points, outer: FloatArray) -> npt.NDArray[np.uint8]:
    """Region of every cell, uint8; 0 below the distal plane."""
    along = _offset(points, landmarks.head_centre, landmarks.neck_axis)
    above = _offset(points, landmarks.neck_centre, landmarks.upward) > 0
    proximal = _offset(points, landmarks.distal_point, landmarks.shaft_axis) >= 0
    regions = np.where(above, FemurRegion.TROCHANTER, FemurRegion.INTERTROCHANTER)
    slab = (along > landmarks.neck_start_mm) & (along <= landmarks.neck_end_mm)
    regions[_piece_around(landmarks, points, slab & (outer > 0))] = FemurRegion.NECK
    regions[along <= landmarks.neck_start_mm] = FemurRegion.HEAD
    regions[~proximal] = 0
    return regions.astype(np.uint8)


def _offset(
    points: Points, origin: npt.NDArray[np.float64], direction: npt.NDArray[np.float64]
) -> FloatArray:
    x, y, z = (float(v) for v in origin)
    a, b, c = (float(v) for v in direction)
    return points.minus((x, y, z)).along((a, b, c))


def _piece_around(
    landmarks: Landmarks, points: Points, bone: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return the piece of the neck's slab that holds the neck axis; the rest overhangs."""
    labels, _ = ndimage.label(bone)
    x, y, z = (float(v) for v in landmarks.neck_centre)
    nearest = np.argmin(points.minus((x, y, z)).length())
    own = labels.flat[nearest]
    if own == 0:
        raise GeometryError("the neck axis leaves the bone at the centre of the neck")
    piece: npt.NDArray[np.bool_] = labels == own
    return piece


def _report_geometry(femur: FemurAnatomy, marks: Landmarks) -> FemurGeometry:
    def place(point: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        x, y, z = (float(v) for v in femur.to_lps(point))
        return x, y, z

    def turn(direction: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        x, y, z = (float(v) for v in direction @ femur.rotation_to_femur)
        return x, y, z

    def plane(point: npt.NDArray[np.float64], normal: npt.NDArray[np.float64]) -> Plane:
        return Plane(point_lps_mm=place(point), normal_lps=turn(normal))

    neck_start = marks.head_centre + marks.neck_start_mm * marks.neck_axis
    neck_end = marks.head_centre + marks.neck_end_mm * marks.neck_axis
    cosine = float(np.clip(-(marks.neck_axis @ marks.shaft_axis), -1, 1))
    return FemurGeometry(
        head_centre_lps_mm=place(marks.head_centre),
        head_radius_mm=marks.head_radius_mm,
        neck_centre_lps_mm=place(marks.neck_centre),
        neck_axis_lps=turn(marks.neck_axis),
        neck_radius_mm=marks.neck_radius_mm,
        shaft_point_lps_mm=place(marks.shaft_point),
        shaft_axis_lps=turn(marks.shaft_axis),
        shaft_length_used_mm=50.0,
        lesser_trochanter_lps_mm=place(marks.lesser_trochanter),
        neck_shaft_angle_deg=180.0 - float(np.degrees(np.arccos(cosine))),
        neck_trochanter_rule=marks.neck_end_rule,
        planes=RegionPlanes(
            head_neck=plane(neck_start, marks.neck_axis),
            neck_trochanter=plane(neck_end, marks.neck_axis),
            trochanter_intertrochanter=plane(marks.neck_centre, marks.upward),
            distal=plane(marks.distal_point, marks.shaft_axis),
        ),
    )
