"""Masks, HU and regions -> everything that is measured besides volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.domain.calibration import Calibration
from service.domain.imaging import FemurMasks, FemurRegions, HuArray, SurfaceThickness
from service.domain.measurements import CrossSection, CrossSections, FemurMeasurements
from service.pipeline.cortical_thickness import ThicknessMap, thickness_map
from service.pipeline.densitometry import measure_density
from service.pipeline.dimensions import measure_dimensions
from service.pipeline.left_femur import LeftFemur, left_femur
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
    local = thickness_map(femur)
    sections = _sections(femur, calibration)
    neck_width = sections.narrow_neck.width_mm if sections.narrow_neck is not None else None
    density = measure_density(femur, calibration)
    numbers = FemurMeasurements(
        dimensions=measure_dimensions(femur, regions.geometry.head_radius_mm, neck_width),
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


def _sections(femur: LeftFemur, calibration: Calibration | None) -> CrossSections:
    axes = femur.axes
    if axes is None:
        return CrossSections()

    def measured(plane: SectionPlane | None) -> CrossSection | None:
        image = section_image(femur, plane) if plane is not None else None
        return cross_section(image, femur, calibration) if image is not None else None

    neck = measured(neck_plane(axes))
    shaft = shaft_plane(axes, neck.width_mm) if neck is not None else None
    return CrossSections(
        narrow_neck=neck,
        intertrochanter=measured(intertrochanteric_plane(axes)),
        shaft=measured(shaft),
    )
