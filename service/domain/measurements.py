"""What is measured on a femur besides volumes, as parts of the report (no numpy).

docs/measurements.md defines each. All is null where it cannot be measured; the flags say why.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.domain.frozen import Frozen, Vector


class Dimensions(Frozen):
    """Lengths and angles.

    Attributes:
        head_diameter_mm: of the sphere fitted to the head.
        neck_width_mm: of the narrowest section of the neck, in the frontal plane of the femur.
        neck_axis_length_mm: along the neck axis from the head's surface to the lateral surface.
        hip_axis_length_mm: would reach the inner pelvic brim; the pelvis is not segmented, so it is
            always null.
        femoral_offset_mm: from the head centre to the shaft axis, at right angles to it.
        anteversion_deg: would need the condyles; always null.
        neck_version_to_scan_deg: between the neck axis and the scan's left-right axis, about the
            shaft axis, positive when the head lies in front; depends on how the leg lay.
        neck_to_lesser_trochanter_deg: about the shaft axis, from the neck's medial direction
            to the lesser trochanter, positive when that lies behind; independent of how the leg
            lay.
    """

    head_diameter_mm: float | None = None
    neck_width_mm: float | None = None
    neck_axis_length_mm: float | None = None
    hip_axis_length_mm: float | None = None
    femoral_offset_mm: float | None = None
    anteversion_deg: float | None = None
    neck_version_to_scan_deg: float | None = None
    neck_to_lesser_trochanter_deg: float | None = None


class Thickness(Frozen):
    """Cortical thickness over a patch of the periosteal surface, weighted by area.

    Attributes:
        mean_mm, sd_mm: of the local thickness.
        p5_mm: 5 % of the surface has a thinner cortex.
        surface_cm2: area of the patch.
        share_below_three_voxels: of the patch, where partial volume widens a thin cortex.
    """

    mean_mm: float
    sd_mm: float
    p5_mm: float
    surface_cm2: float
    share_below_three_voxels: float


class NeckQuadrants(Frozen):
    """Thickness of the neck by the direction its surface lies in, seen from the neck axis."""

    superior: Thickness | None = None
    anterior: Thickness | None = None
    inferior: Thickness | None = None
    posterior: Thickness | None = None


class NeckStation(Frozen):
    """A tenth of the neck; distances in mm from the head centre along the neck axis."""

    from_mm: float
    to_mm: float
    thickness: Thickness | None


class CorticalThickness(Frozen):
    """Thickness per region, per quadrant of the neck, and along the neck."""

    head: Thickness | None = None
    neck: Thickness | None = None
    trochanter: Thickness | None = None
    intertrochanter: Thickness | None = None
    combination: Thickness | None = None
    total: Thickness | None = None
    neck_quadrants: NeckQuadrants = NeckQuadrants()
    along_neck: tuple[NeckStation, ...] = ()


class MineralSection(Frozen):
    """A section weighted by mineral, as hip structural analysis does (Beck 1990).

    Attributes:
        csa_mm2: area of mineral at 1.05 g/cm3 that holds as much as the section.
        csmi_frontal_mm4: its second moment for bending in the frontal plane.
        section_modulus_frontal_mm3: that by the distance from its centroid to the farther margin.
    """

    csa_mm2: float
    csmi_frontal_mm4: float
    section_modulus_frontal_mm3: float


class CrossSection(Frozen):
    """One section. Frontal: bending in the plane of neck and shaft axis; sagittal: across it.

    Attributes:
        centre_lps_mm, normal_lps: centroid of the area within the periosteal surface, unit normal.
        total_area_mm2: within the periosteal surface.
        cortical_area_mm2: between both surfaces.
        width_mm, depth_mm: outer extent in the frontal plane and across it.
        cortical_thickness_mm: 2 x cortical area / (outer + inner perimeter).
        csmi_frontal_mm4, csmi_sagittal_mm4: second moments of the cortical area about its centroid.
        csmi_max_mm4, csmi_min_mm4: the principal ones.
        section_modulus_frontal_mm3, section_modulus_sagittal_mm3: moment by the distance from the
            centroid to the farther outer margin.
        buckling_ratio: that distance in the frontal plane by the cortical thickness.
        mineral: with a calibration only.
    """

    centre_lps_mm: Vector
    normal_lps: Vector
    total_area_mm2: float
    width_mm: float
    depth_mm: float
    cortical_area_mm2: float | None = None
    cortical_thickness_mm: float | None = None
    csmi_frontal_mm4: float | None = None
    csmi_sagittal_mm4: float | None = None
    csmi_max_mm4: float | None = None
    csmi_min_mm4: float | None = None
    section_modulus_frontal_mm3: float | None = None
    section_modulus_sagittal_mm3: float | None = None
    buckling_ratio: float | None = None
    mineral: MineralSection | None = None


class CrossSections(Frozen):
    """The three sections of hip structural analysis (Beck 1990; Khoo 2005)."""

    narrow_neck: CrossSection | None = None
    intertrochanter: CrossSection | None = None
    shaft: CrossSection | None = None


class CompartmentDensity(Frozen):
    """One compartment of one region.

    Attributes:
        mean_hu, sd_hu: over its voxels.
        vbmd_mg_cm3: mean density, in the calibration's unit; null without a calibration.
        vbmd_uncertainty_mg_cm3: standard uncertainty from the calibration; null where it states
            none.
        bmc_g: density x volume of its voxels.
        bmc_uncertainty_g: as of the density; the volume counts as exact.
    """

    mean_hu: float
    sd_hu: float
    vbmd_mg_cm3: float | None = None
    vbmd_uncertainty_mg_cm3: float | None = None
    bmc_g: float | None = None
    bmc_uncertainty_g: float | None = None


class RegionDensity(Frozen):
    """One region; ``cortical`` and ``trabecular`` are null without an endosteal surface in it."""

    integral: CompartmentDensity
    cortical: CompartmentDensity | None
    trabecular: CompartmentDensity | None


class RegionalDensity(Frozen):
    """Per region, with the keys of the volumes."""

    head: RegionDensity | None = None
    neck: RegionDensity | None = None
    trochanter: RegionDensity | None = None
    intertrochanter: RegionDensity | None = None
    combination: RegionDensity | None = None
    total: RegionDensity | None = None


class ProjectedRegion(Frozen):
    """A region seen along the femur's anteroposterior direction.

    Attributes:
        area_cm2: of its shadow.
        bmc_g: its mineral, the one of its integral compartment.
        abmd_g_cm2: mineral by area.
        abmd_uncertainty_g_cm2: from the calibration; null where it states none.
    """

    area_cm2: float
    bmc_g: float
    abmd_g_cm2: float
    abmd_uncertainty_g_cm2: float | None = None


class ProjectedDensity(Frozen):
    """Areal density as CTXA and DXA give it, by our own regions. No T-score: no reference data."""

    status: Literal["equivalent, not validated"] = "equivalent, not validated"
    neck: ProjectedRegion | None = None
    trochanter: ProjectedRegion | None = None
    intertrochanter: ProjectedRegion | None = None
    combination: ProjectedRegion | None = Field(
        default=None, description="neck, trochanter and intertrochanter: the total hip"
    )


class FemurMeasurements(Frozen):
    """Everything beyond volumes and landmarks; null parts could not be measured at all.

    ``projected_density`` is null without a calibration.
    """

    dimensions: Dimensions = Dimensions()
    cortical_thickness: CorticalThickness | None = None
    cross_sections: CrossSections = CrossSections()
    density: RegionalDensity = RegionalDensity()
    projected_density: ProjectedDensity | None = None
