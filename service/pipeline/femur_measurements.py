"""Masks, HU and regions -> everything that is measured besides volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.domain.calibration import Calibration
from service.domain.imaging import (
    FemurMasks,
    FemurRegion,
    FemurRegions,
    HuArray,
    SurfaceThickness,
)
from service.domain.measurements import (
    CrossSection,
    CrossSections,
    Dimensions,
    FemurMeasurements,
)
from service.pipeline.cortical_thickness import ThicknessMap, thickness_map
from service.pipeline.densitometry import measure_density
from service.pipeline.dimensions import measure_dimensions
from service.pipeline.left_femur import LeftFemur, left_femur
from service.pipeline.metal import has_metal
from service.pipeline.projected_density import project
from service.pipeline.section_plane import (
    SectionPlane,
    intertrochanteric_plane,
    neck_plane,
    section_image,
    shaft_plane,
)
from service.pipeline.section_properties import cross_section
from service.pipeline.thickness_summary import MAX_CORTEX_MM, summarise


@dataclass(frozen=True)
class NullRegions:
    """Regions without a voxel, by what that says of a measure of the same bone.

    Attributes:
        any_cause: all of them.
        dropped: those that planes bound, but that metal or the scan's border took; with metal in
            the crop all of them, as it may be what keeps a plane from being found.
        by_metal: those that metal may have taken.
    """

    any_cause: frozenset[FemurRegion]
    dropped: frozenset[FemurRegion]
    by_metal: frozenset[FemurRegion]


@dataclass(frozen=True, eq=False)
class MeasuredFemur:
    """The numbers of one femur, and the thickness that some of them sum up.

    Attributes:
        numbers: what is reported.
        thickness: None without an endosteal surface.
    """

    numbers: FemurMeasurements
    thickness: SurfaceThickness | None = None


def measure_femur(
    masks: FemurMasks, hu: HuArray, regions: FemurRegions, calibration: Calibration | None = None
) -> MeasuredFemur:
    """Measure one femur (docs/measurements.md).

    Args:
        masks: both surfaces.
        hu: the CT on the masks' grid, int16 or float32 ``[z, y, x]``.
        regions: labels and landmarks.
        calibration: from HU to density; without one there is HU only.

    Returns:
        Null, part by part, where a landmark or surface is missing; never fails on a mask.
    """
    femur = left_femur(masks, hu, regions)
    if femur is None:
        return MeasuredFemur(FemurMeasurements())
    null = _null_regions(regions)
    local = thickness_map(femur)
    sections = _sections(femur, null, calibration)
    neck_width = sections.narrow_neck.width_mm if sections.narrow_neck is not None else None
    density = measure_density(femur, calibration)
    dimensions = measure_dimensions(femur, regions.geometry.head_radius_mm, neck_width)
    numbers = FemurMeasurements(
        dimensions=_away_from_metal(dimensions, null),
        cortical_thickness=summarise(local, femur.axes) if local is not None else None,
        cross_sections=sections,
        density=density,
        projected_density=project(femur, density) if calibration is not None else None,
    )
    return MeasuredFemur(numbers, _in_patient(local, femur) if local is not None else None)


def _in_patient(local: ThicknessMap, femur: LeftFemur) -> SurfaceThickness:
    turn = np.array([-1.0 if femur.mirrored else 1.0, 1.0, 1.0])
    known = np.where(local.thickness_mm <= MAX_CORTEX_MM, local.thickness_mm, np.nan)
    return SurfaceThickness(local.points_mm * turn, known)


def _null_regions(regions: FemurRegions) -> NullRegions:
    null = frozenset(FemurRegion) - {FemurRegion(v) for v in np.unique(regions.labels) if v}
    metal = has_metal(regions)
    is_bounded = regions.geometry.planes.neck_trochanter is not None
    return NullRegions(
        any_cause=null,
        dropped=null if is_bounded or metal else frozenset(),
        by_metal=null if metal else frozenset(),
    )


def _away_from_metal(found: Dimensions, null: NullRegions) -> Dimensions:
    """Without the lengths that end on a surface which metal may have moved."""
    update: dict[str, None] = {}
    if FemurRegion.HEAD in null.by_metal:
        update["head_diameter_mm"] = None
    if null.by_metal:
        update["neck_axis_length_mm"] = None
    return found.model_copy(update=update)


def _sections(
    femur: LeftFemur, null: NullRegions, calibration: Calibration | None
) -> CrossSections:
    """The sections whose bone was measured (docs/measurements.md has the rule)."""
    axes = femur.axes
    if axes is None:
        return CrossSections()

    def measured(
        plane: SectionPlane | None, lost: frozenset[FemurRegion], *needed: FemurRegion
    ) -> CrossSection | None:
        image = section_image(femur, plane) if plane is not None else None
        if image is None or lost.intersection(needed) or (image.near_border and null.any_cause):
            return None
        return cross_section(image, femur, calibration)

    neck = measured(neck_plane(axes), null.dropped, FemurRegion.NECK)
    shaft = shaft_plane(axes, neck.width_mm) if neck is not None else None
    return CrossSections(
        narrow_neck=neck,
        intertrochanter=measured(
            intertrochanteric_plane(axes),
            null.dropped,
            FemurRegion.TROCHANTER,
            FemurRegion.INTERTROCHANTER,
        ),
        # the border mostly cuts this region at the greater trochanter, far from the shaft
        shaft=measured(shaft, null.by_metal, FemurRegion.INTERTROCHANTER),
    )
