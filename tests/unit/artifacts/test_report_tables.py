"""Numbers are printed with their unit's decimals; what is null is a dash with its flags."""

from __future__ import annotations

from service.artifacts.report_tables import (
    DASH,
    dimension_table,
    landmark_table,
    neck_table,
    numbered,
    region_table,
    section_table,
)
from service.domain.findings import (
    Compartments,
    FemurGeometry,
    FemurReport,
    FlagCode,
    LandmarkFit,
    LandmarkFits,
    QualityFlag,
    RegionalVolumes,
    Severity,
)
from service.domain.measurements import (
    CompartmentDensity,
    CorticalThickness,
    CrossSection,
    CrossSections,
    Dimensions,
    FemurMeasurements,
    NeckQuadrants,
    ProjectedDensity,
    ProjectedRegion,
    RegionalDensity,
    RegionDensity,
    Thickness,
)
from tests.builders.analyses import analysis, axial_geometry

NECK = Thickness(
    mean_mm=1.494, sd_mm=0.5, p5_mm=0.62, surface_cm2=20.0, share_below_three_voxels=0.8
)
PART = CompartmentDensity(
    mean_hu=204.6, sd_hu=90.0, vbmd_mg_cm3=173.9, vbmd_uncertainty_mg_cm3=2.4, bmc_g=2.607
)


def flag(code: FlagCode) -> QualityFlag:
    return QualityFlag(code=code, severity=Severity.ERROR, message="why")


def report(measured: FemurMeasurements, *codes: FlagCode) -> FemurReport:
    volumes = RegionalVolumes(
        head=None,
        neck=Compartments(integral=15.04, cortical=2.85, trabecular=12.19),
        trochanter=Compartments(integral=30.0, cortical=None, trabecular=None),
        intertrochanter=None,
        combination=None,
        total=None,
    )
    made_up = analysis(axial_geometry()).femurs[0].report
    flags = tuple(flag(code) for code in codes)
    return made_up.model_copy(
        update={"volumes_cm3": volumes, "measurements": measured, "flags": flags}
    )


def test_a_region_is_a_row_of_volumes_thickness_and_hu() -> None:
    of_hu = CompartmentDensity(mean_hu=204.6, sd_hu=90.0)
    density = RegionalDensity(neck=RegionDensity(integral=of_hu, cortical=of_hu, trabecular=of_hu))
    measured = FemurMeasurements(cortical_thickness=CorticalThickness(neck=NECK), density=density)
    table = region_table(report(measured))
    assert len(table.columns) == len(table.rows[1].cells)
    assert table.rows[1].cells == ("15.0", "2.9", "12.2", "1.49", "0.62", "205", "205", "205")
    assert table.rows[1].because == ""


def test_with_a_calibration_densities_take_the_place_of_hu() -> None:
    density = RegionalDensity(neck=RegionDensity(integral=PART, cortical=PART, trabecular=None))
    projected = ProjectedDensity(neck=ProjectedRegion(area_cm2=3.0, bmc_g=2.607, abmd_g_cm2=0.869))
    measured = FemurMeasurements(density=density, projected_density=projected)
    table = region_table(report(measured, FlagCode.ENDOSTEAL_NOT_FOUND))
    neck = table.rows[1]
    assert neck.cells[5:] == ("174 ± 2", "174 ± 2", DASH, "2.61", "0.869")
    assert len(table.columns) == len(neck.cells)
    assert neck.because == "1"
    # head and total have no areal density: nothing is missing there
    assert table.rows[0].cells[-1] == ""


def test_densities_are_shown_where_no_shaft_axis_gives_a_projection() -> None:
    density = RegionalDensity(neck=RegionDensity(integral=PART, cortical=PART, trabecular=PART))
    measured = FemurMeasurements(cortical_thickness=CorticalThickness(neck=NECK), density=density)
    table = region_table(report(measured, FlagCode.TRUNCATED_DISTAL))
    assert table.columns[5:] == ("vBMD mg/cm³", "cortical", "trabecular", "BMC g", "aBMD* g/cm²")
    neck = table.rows[1]
    assert neck.cells[5:] == ("174 ± 2", "174 ± 2", "174 ± 2", "2.61", DASH)
    assert neck.because == "1"


def test_a_dash_names_the_flags_that_explain_it() -> None:
    codes = (
        FlagCode.PARTIAL_VOLUME,
        FlagCode.TRUNCATED_LATERAL,
        FlagCode.TRUNCATED_DISTAL,
        FlagCode.ENDOSTEAL_NOT_FOUND,
    )
    rows = region_table(report(FemurMeasurements(), *codes)).rows
    assert set(rows[0].cells) == {DASH}
    assert [row.because for row in rows] == ["2", "4", "4", "2,3", "2,3", "2,3"]


def test_sections_and_dimensions_have_a_row_each() -> None:
    section = CrossSection(
        centre_lps_mm=(0.0, 0.0, 0.0),
        normal_lps=(0.0, 0.0, 1.0),
        total_area_mm2=751.6,
        width_mm=33.4,
        depth_mm=30.0,
        cortical_area_mm2=137.2,
        cortical_thickness_mm=1.456,
        csmi_frontal_mm4=14438.4,
        section_modulus_frontal_mm3=687.0,
        buckling_ratio=14.41,
    )
    measured = FemurMeasurements(
        cross_sections=CrossSections(narrow_neck=section),
        dimensions=Dimensions(head_diameter_mm=44.24),
    )
    made_up = report(measured, FlagCode.TRUNCATED_DISTAL)
    table = section_table(made_up)
    assert table.rows[0].cells == ("752", "137", "1.46", "14438", "687", "14.4")
    assert len(table.columns) == len(table.rows[0].cells)
    assert (table.rows[2].cells[0], table.rows[2].because) == (DASH, "1")
    lengths = {row.name: row for row in dimension_table(made_up).rows}
    assert lengths["head diameter"].cells == ("44.2 mm",)
    assert lengths["neck-shaft angle"] == ("neck-shaft angle", (DASH,), "1")


def test_every_landmark_has_its_residual_and_quality() -> None:
    fits = LandmarkFits(head=LandmarkFit(residual_mm=0.532, quality=0.994))
    found = report(FemurMeasurements(), FlagCode.TRUNCATED_DISTAL).model_copy(
        update={"geometry": FemurGeometry(landmark_fits=fits)}
    )
    table = landmark_table(found)
    assert len(table.columns) == len(LandmarkFits.model_fields)
    assert table.rows[0] == ("residual mm", ("0.53", DASH, DASH, DASH, DASH), "1")
    assert table.rows[1] == ("quality 0-1", ("0.99", DASH, DASH, DASH, DASH), "1")


def test_the_necks_cortex_is_given_by_quadrant() -> None:
    quadrants = NeckQuadrants(superior=NECK)
    measured = FemurMeasurements(
        cortical_thickness=CorticalThickness(neck=NECK, neck_quadrants=quadrants)
    )
    rows = neck_table(report(measured, FlagCode.LESSER_TROCHANTER_NOT_FOUND)).rows
    assert rows[0] == ("superior", ("1.49", "0.62"), "")
    assert rows[1] == ("anterior", (DASH, DASH), "1")


def test_flags_are_numbered_from_one() -> None:
    flags = (flag(FlagCode.METAL), flag(FlagCode.TRUNCATED_DISTAL))
    assert numbered(flags) == ("1  METAL (error): why", "2  TRUNCATED_DISTAL (error): why")
