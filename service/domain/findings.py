"""What the report says: frozen pydantic models, the schema ``femurct.report/1`` (no numpy)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from service.domain.confidence import FemurConfidence
from service.domain.frozen import Frozen as Frozen
from service.domain.frozen import Vector as Vector
from service.domain.jobs import JobOptions
from service.domain.measurements import FemurMeasurements


class FemurSide(StrEnum):
    """By the patient, not by the viewer."""

    LEFT = "left"
    RIGHT = "right"


class Severity(StrEnum):
    """How much a flag matters: ``error`` means a number is missing because of it."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class FlagCode(StrEnum):
    """Everything a report can warn of."""

    TRUNCATED_PROXIMAL = "TRUNCATED_PROXIMAL"
    TRUNCATED_DISTAL = "TRUNCATED_DISTAL"
    TRUNCATED_LATERAL = "TRUNCATED_LATERAL"
    METAL = "METAL"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    AXIS_NOT_CONVERGED = "AXIS_NOT_CONVERGED"
    HEAD_NOT_FOUND = "HEAD_NOT_FOUND"
    NECK_PLANE_NOT_FOUND = "NECK_PLANE_NOT_FOUND"
    LESSER_TROCHANTER_NOT_FOUND = "LESSER_TROCHANTER_NOT_FOUND"
    LEFT_RIGHT_DOUBT = "LEFT_RIGHT_DOUBT"
    ENDOSTEAL_NOT_FOUND = "ENDOSTEAL_NOT_FOUND"
    THICK_SLICES = "THICK_SLICES"
    PARTIAL_VOLUME = "PARTIAL_VOLUME"
    IMPLAUSIBLE_VOLUME = "IMPLAUSIBLE_VOLUME"
    SERIES_CHOSEN = "SERIES_CHOSEN"
    GANTRY_TILT = "GANTRY_TILT"
    TILT_TAG_DISAGREES = "TILT_TAG_DISAGREES"
    GAPS_RESAMPLED = "GAPS_RESAMPLED"


class QualityFlag(Frozen):
    """One doubt, named."""

    code: FlagCode
    severity: Severity
    message: str


class Compartments(Frozen):
    """Volumes of one region in cm3: voxels of the delivered masks x voxel volume, nothing else.

    ``cortical`` and ``trabecular`` are null in a region that holds no endosteal voxel, and in its
    sums (ENDOSTEAL_NOT_FOUND).
    """

    integral: float = Field(ge=0)
    cortical: float | None = Field(ge=0)
    trabecular: float | None = Field(ge=0)


class RegionalVolumes(Frozen):
    """Volumes per region in cm3; null where a region cannot be bounded, never 0.

    ``combination`` is neck + trochanter + intertrochanter (paper, Table 2); ``total`` adds
    the head.
    """

    head: Compartments | None
    neck: Compartments | None
    trochanter: Compartments | None
    intertrochanter: Compartments | None
    combination: Compartments | None
    total: Compartments | None


class Plane(Frozen):
    """A plane in the patient: a point in LPS mm and a unit normal."""

    point_lps_mm: Vector
    normal_lps: Vector


class RegionPlanes(Frozen):
    """The planes of ``regions/v1`` that bound the regions; null where not found."""

    head_neck: Plane | None = None
    neck_trochanter: Plane | None = None
    trochanter_intertrochanter: Plane | None = None
    distal: Plane | None = None


class LandmarkFit(Frozen):
    """How well the bone bears a landmark out; docs/regions.md defines both for each.

    Attributes:
        residual_mm: how far the bone that gives the landmark lies off it.
        quality: 0-1, share of what the definition looks at that is in view and agrees.
    """

    residual_mm: float = Field(ge=0)
    quality: float = Field(ge=0, le=1)


class LandmarkFits(Frozen):
    """Of each landmark; null where it was not found."""

    head: LandmarkFit | None = None
    neck_axis: LandmarkFit | None = None
    shaft_axis: LandmarkFit | None = None
    lesser_trochanter: LandmarkFit | None = None
    greater_trochanter: LandmarkFit | None = None


class FemurGeometry(Frozen):
    """Landmarks and axes of ``regions/v1`` in patient coordinates, for both sides.

    Attributes:
        head_centre_lps_mm, head_radius_mm: sphere through the superomedial periosteal surface.
        neck_centre_lps_mm: centroid O of the smallest section of the neck.
        neck_axis_lps: unit, from the head centre laterally.
        neck_radius_mm: equivalent radius of the smallest section.
        shaft_point_lps_mm, shaft_axis_lps: a point on the shaft axis and its unit direction,
            pointing proximally.
        shaft_length_used_mm: length of shaft the axis was fitted to.
        lesser_trochanter_lps_mm: its most prominent point.
        greater_trochanter_lps_mm: its tip, the most proximal place along the shaft axis.
        neck_shaft_angle_deg: angle between the neck's medial and the shaft's distal direction,
            about 125 in adults.
        neck_trochanter_rule: which event placed the neck|trochanter plane.
        lateral_exit_distance_mm: between the lateral exits of the trochanter|intertrochanter plane
            and of the DXA divider; always null (docs/regions.md).
        planes: see RegionPlanes.
        landmark_fits: see LandmarkFits.
    """

    head_centre_lps_mm: Vector | None = None
    head_radius_mm: float | None = None
    neck_centre_lps_mm: Vector | None = None
    neck_axis_lps: Vector | None = None
    neck_radius_mm: float | None = None
    shaft_point_lps_mm: Vector | None = None
    shaft_axis_lps: Vector | None = None
    shaft_length_used_mm: float | None = None
    lesser_trochanter_lps_mm: Vector | None = None
    greater_trochanter_lps_mm: Vector | None = None
    neck_shaft_angle_deg: float | None = None
    neck_trochanter_rule: Literal["area", "join"] | None = None
    lateral_exit_distance_mm: float | None = None
    planes: RegionPlanes = RegionPlanes()
    landmark_fits: LandmarkFits = LandmarkFits()


class FemurReport(Frozen):
    """One femur. ``complete`` is true when all four regions were measured.

    ``confidence`` is null in reports older than the key.
    """

    side: FemurSide
    complete: bool
    volumes_cm3: RegionalVolumes
    periosteal_volume_in_view_cm3: float
    flags: tuple[QualityFlag, ...] = ()
    geometry: FemurGeometry = FemurGeometry()
    measurements: FemurMeasurements = FemurMeasurements()
    confidence: FemurConfidence | None = None


class SliceGap(Frozen):
    """Two neighbouring slices that lie farther apart than the others, along the slice normal."""

    from_mm: float
    to_mm: float


class GeometryVerdict(Frozen):
    """What was found about the geometry of the series that was measured.

    Attributes:
        orientation: anatomical plane nearest to the slices; ``oblique`` leads it over 10 degrees.
        slice_spacing_mm: between neighbouring slices of the volume.
        evenness_mm: how far the worst slice lies from the even grid, along the normal.
        evenness_tolerance_mm: above which a series is refused or, if asked for, resampled.
        gantry_tilt_deg: between the stack and the slices' normal; 0 where none.
        coverage_mm: along the normal, outer face to outer face.
        slices_used: slices decoded.
        resampled_gaps: filled by interpolation, on request; empty as a rule.
        set_aside: files not used, by reason.
    """

    orientation: str
    slice_spacing_mm: float
    evenness_mm: float
    evenness_tolerance_mm: float
    gantry_tilt_deg: float
    coverage_mm: float
    slices_used: int
    resampled_gaps: tuple[SliceGap, ...] = ()
    set_aside: dict[str, int] = Field(default_factory=dict)


class SeriesCandidate(Frozen):
    """One stack of CT slices of the upload, and why it was chosen or not.

    Attributes:
        series_instance_uid: empty where malformed.
        slices: copies counted.
        spacing_mm: slice, row and column spacing; null where the stack makes no volume.
        orientation: as in GeometryVerdict; null where unknown.
        chosen: true for the one that was measured.
        error_code: why it makes no volume (docs/errors.md); null where it does.
        reason: one sentence.
    """

    series_instance_uid: str
    slices: int
    spacing_mm: Vector | None
    orientation: str | None
    chosen: bool
    error_code: str | None
    reason: str


class SeriesSummary(Frozen):
    """The series that was measured; technical identifiers only.

    Attributes:
        geometry: the verdict on it.
        candidates: every stack of CT slices of the upload, best first.
    """

    series_instance_uid: str
    spacing_mm: Vector = Field(description="slice, row and column spacing in mm")
    shape_zyx: tuple[int, int, int]
    slices_used: int
    files_set_aside: int
    patient_position: str
    geometry: GeometryVerdict | None = None
    candidates: tuple[SeriesCandidate, ...] = ()


class ModelUsed(Frozen):
    """One network file by content."""

    role: Literal["periosteal", "endosteal"]
    sha256: str
    provider: str


class Provenance(Frozen):
    """What made this report, so that it can be made again.

    Attributes:
        stride_z: slices between the paper's windows of 64; null for the default, as few windows
            of up to 4 million voxels as cover a femur.
        options: what was asked for; null in reports older than the key.
        versions: of the libraries that a number may depend on.
    """

    femurct_version: str
    input_sha256: str
    models: tuple[ModelUsed, ...]
    stride_z: int | None
    options: JobOptions | None = None
    regions_definition: str = "regions/v1"
    versions: dict[str, str] = Field(default_factory=dict)


class AnalysisReport(Frozen):
    """``report.json``. Keys are added, never renamed."""

    schema_: Literal["femurct.report/1"] = Field(default="femurct.report/1", alias="schema")
    notice: str = "Research use only: not validated for clinical use."
    series: SeriesSummary
    femurs: tuple[FemurReport, ...]
    flags: tuple[QualityFlag, ...] = ()
    provenance: Provenance

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
