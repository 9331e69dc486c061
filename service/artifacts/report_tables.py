"""The numbers of one femur as the report page prints them: rows of text, dashes where null.

A row with a dash names the flags that explain it, by their number in the page's list.
"""

from __future__ import annotations

from typing import NamedTuple

from service.domain.findings import (
    Compartments,
    FemurReport,
    FlagCode,
    LandmarkFit,
    QualityFlag,
)
from service.domain.measurements import (
    CompartmentDensity,
    CrossSection,
    ProjectedDensity,
    ProjectedRegion,
    RegionDensity,
    Thickness,
)

DASH = "\N{EN DASH}"

REGIONS = ("head", "neck", "trochanter", "intertrochanter", "combination", "total")

SECTIONS = (("narrow neck", "narrow_neck"), ("intertrochanter", "intertrochanter"), ("shaft",) * 2)

MEASURES = (
    ("total_area_mm2", 0),
    ("cortical_area_mm2", 0),
    ("cortical_thickness_mm", 2),
    ("csmi_frontal_mm4", 0),
    ("section_modulus_frontal_mm3", 0),
    ("buckling_ratio", 1),
)
"""Columns of the sections' table, each with its decimals."""

LANDMARKS = ("head", "neck axis", "shaft axis", "lesser tr.", "greater tr.")
"""Those of LandmarkFits, in its order."""

HEAD_LOST = (
    FlagCode.HEAD_NOT_FOUND,
    FlagCode.AXIS_NOT_CONVERGED,
    FlagCode.TRUNCATED_PROXIMAL,
    FlagCode.TRUNCATED_LATERAL,
    FlagCode.METAL,
)
"""What costs the head (docs/regions.md)."""

BONE_LOST = (
    *HEAD_LOST,
    FlagCode.NECK_PLANE_NOT_FOUND,
    FlagCode.LESSER_TROCHANTER_NOT_FOUND,
    FlagCode.TRUNCATED_DISTAL,
)
"""What costs any other region, or an axis."""

CORTEX_LOST = (FlagCode.ENDOSTEAL_NOT_FOUND,)


class Row(NamedTuple):
    """One line of a table.

    Attributes:
        name: what was measured.
        cells: values as text, a dash where null.
        because: numbers of the flags that explain dashes, such as ``1,3``; empty without a dash.
    """

    name: str
    cells: tuple[str, ...]
    because: str


class Table(NamedTuple):
    """A titled table; the first column holds the rows' names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def numbered(flags: tuple[QualityFlag, ...]) -> tuple[str, ...]:
    """One sentence per flag, led by its number."""
    return tuple(
        f"{number}  {flag.code.value} ({flag.severity.value}): {flag.message}"
        for number, flag in enumerate(flags, start=1)
    )


def region_table(femur: FemurReport) -> Table:
    """Volume, thickness and density per region; densities of bone mineral with a calibration."""
    measured = femur.measurements
    projected = measured.projected_density
    is_calibrated = _is_calibrated(femur)
    rows = []
    for region in REGIONS:
        volume: Compartments | None = getattr(femur.volumes_cm3, region)
        density: RegionDensity | None = getattr(measured.density, region)
        areal: ProjectedRegion | None = getattr(projected, region, None)
        cells = (
            *(_number(getattr(volume, part, None), 1) for part in Compartments.model_fields),
            *_thickness(getattr(measured.cortical_thickness, region, None)),
            *_density(density, is_calibrated=is_calibrated),
        )
        lost = HEAD_LOST if region == "head" else BONE_LOST
        causes = CORTEX_LOST if volume is not None else lost
        if is_calibrated:
            mass = density.integral.bmc_g if density is not None else None
            # head and total have no areal density by definition: no dash, as nothing is missing
            has_areal = region in ProjectedDensity.model_fields
            area = _number(areal.abmd_g_cm2 if areal is not None else None, 3) if has_areal else ""
            cells = (*cells, _number(mass, 2), area)
            # a projection needs the shaft axis, too
            causes = (*causes, *BONE_LOST) if area == DASH else causes
        rows.append(_row(femur, region, cells, causes))
    columns = ("volume cm³", "cortical", "trabecular", "cortex mm", "5th pct.")
    if not is_calibrated:
        return Table("Regions", (*columns, "mean HU", "cortical", "trabecular"), tuple(rows))
    of_mineral = ("vBMD mg/cm³", "cortical", "trabecular", "BMC g", "aBMD* g/cm²")
    return Table("Regions", (*columns, *of_mineral), tuple(rows))


def section_table(femur: FemurReport) -> Table:
    """The three sections of hip structural analysis, frontal values."""
    rows = []
    for name, key in SECTIONS:
        section: CrossSection | None = getattr(femur.measurements.cross_sections, key)
        cells = tuple(
            _number(getattr(section, measure, None), digits) for measure, digits in MEASURES
        )
        rows.append(_row(femur, name, cells, BONE_LOST if section is None else CORTEX_LOST))
    columns = ("area mm²", "cortical", "cortex mm", "I mm^4", "Z mm³", "BR")
    return Table("Sections", columns, tuple(rows))


def landmark_table(femur: FemurReport) -> Table:
    """How far the bone lies off each landmark, and how much of what it rests on is in view."""
    fits: tuple[LandmarkFit | None, ...] = tuple(dict(femur.geometry.landmark_fits).values())
    rows = tuple(
        _row(femur, name, tuple(_number(getattr(fit, key, None), 2) for fit in fits), BONE_LOST)
        for name, key in (("residual mm", "residual_mm"), ("quality 0-1", "quality"))
    )
    return Table("Landmarks", LANDMARKS, rows)


def dimension_table(femur: FemurReport) -> Table:
    """Lengths in mm and angles in degrees."""
    found = femur.measurements.dimensions
    measures = (
        ("neck-shaft angle", femur.geometry.neck_shaft_angle_deg, "°"),
        ("head diameter", found.head_diameter_mm, " mm"),
        ("neck width", found.neck_width_mm, " mm"),
        ("neck axis length", found.neck_axis_length_mm, " mm"),
        ("femoral offset", found.femoral_offset_mm, " mm"),
        ("neck to lesser troch.", found.neck_to_lesser_trochanter_deg, "°"),
        ("neck version to scan", found.neck_version_to_scan_deg, "°"),
    )
    rows = []
    for name, value, unit in measures:
        cell = DASH if value is None else f"{value:.1f}{unit}"
        lost = HEAD_LOST if name == "head diameter" else BONE_LOST
        rows.append(_row(femur, name, (cell,), lost))
    return Table("Dimensions", ("",), tuple(rows))


def neck_table(femur: FemurReport) -> Table:
    """The neck's cortical thickness by quadrant."""
    thickness = femur.measurements.cortical_thickness
    quadrants = thickness.neck_quadrants if thickness is not None else None
    lost = BONE_LOST if femur.volumes_cm3.neck is None else (*CORTEX_LOST, *BONE_LOST)
    rows = tuple(
        _row(femur, name, _thickness(getattr(quadrants, name, None)), lost)
        for name in ("superior", "anterior", "inferior", "posterior")
    )
    return Table("Cortex of neck", ("mean mm", "5th pct."), rows)


def _is_calibrated(femur: FemurReport) -> bool:
    densities: tuple[RegionDensity | None, ...] = tuple(dict(femur.measurements.density).values())
    return any(d is not None and d.integral.vbmd_mg_cm3 is not None for d in densities)


def _row(
    femur: FemurReport, name: str, cells: tuple[str, ...], causes: tuple[FlagCode, ...]
) -> Row:
    numbers = (
        str(number)
        for number, flag in enumerate(femur.flags, start=1)
        if DASH in cells and flag.code in causes
    )
    return Row(name, cells, ",".join(numbers))


def _number(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _thickness(patch: Thickness | None) -> tuple[str, str]:
    if patch is None:
        return DASH, DASH
    return _number(patch.mean_mm, 2), _number(patch.p5_mm, 2)


def _density(region: RegionDensity | None, *, is_calibrated: bool) -> tuple[str, ...]:
    """Integral, cortical, trabecular: HU, or density with its uncertainty where there is one."""
    parts: tuple[CompartmentDensity | None, ...] = (None, None, None)
    if region is not None:
        parts = (region.integral, region.cortical, region.trabecular)
    if not is_calibrated:
        return tuple(_number(getattr(part, "mean_hu", None), 0) for part in parts)
    return tuple(
        _number(getattr(part, "vbmd_mg_cm3", None), 0)
        + (
            f" ± {part.vbmd_uncertainty_mg_cm3:.0f}"
            if part and part.vbmd_uncertainty_mg_cm3
            else ""
        )
        for part in parts
    )
