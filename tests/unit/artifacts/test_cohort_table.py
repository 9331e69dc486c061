"""The table has a row per femur and a column per number, under names that stay."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from service.artifacts.cohort_table import columns, write_table
from service.domain.calibration import Calibration
from service.domain.findings import (
    AnalysisReport,
    FemurGeometry,
    FemurSide,
    FlagCode,
    QualityFlag,
    Severity,
)
from service.domain.jobs import JobOptions
from service.domain.measurements import (
    CorticalThickness,
    FemurMeasurements,
    NeckStation,
    Thickness,
)
from tests.builders.analyses import SERIES_UID, analysis, axial_geometry

DOCUMENTED = Path(__file__).parents[3] / "docs" / "cohort_columns.txt"
BOTH = analysis(axial_geometry(), *FemurSide).report


def rows_of(*results: tuple[str, AnalysisReport]) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    count = write_table(results, file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert len(rows) == count
    return rows


def test_the_documented_columns_are_the_tables() -> None:
    """Columns are added, never renamed: a line that goes missing breaks a script."""
    assert DOCUMENTED.read_text("utf-8").splitlines() == list(columns())


def test_no_name_stands_twice() -> None:
    assert len(set(columns())) == len(columns())


def test_every_femur_of_every_result_is_a_row() -> None:
    one = analysis(axial_geometry()).report
    rows = rows_of(("a/1", BOTH), ("b, 2", one))
    assert [(row["result"], row["side"]) for row in rows] == [
        ("a/1", "left"),
        ("a/1", "right"),
        ("b, 2", "left"),
    ]
    assert rows[0]["series.series_instance_uid"] == SERIES_UID
    assert rows[0]["series.slice_spacing_mm"] == "2.0"
    assert rows[0]["provenance.endosteal_sha256"] == "0" * 64
    assert rows[0]["provenance.endosteal_provider"] == "CPUExecutionProvider"


def test_a_number_stands_under_its_place_in_the_report() -> None:
    thickness = Thickness(
        mean_mm=1.4937, sd_mm=0.5, p5_mm=0.6, surface_cm2=2.0, share_below_three_voxels=0.8
    )
    station = NeckStation(from_mm=1.0, to_mm=2.0, thickness=thickness)
    cortex = CorticalThickness(neck=thickness, along_neck=(station,))
    femur = BOTH.femurs[0].model_copy(
        update={
            "geometry": FemurGeometry(head_centre_lps_mm=(1.5, -2.0, 3.25)),
            "measurements": FemurMeasurements(cortical_thickness=cortex),
        }
    )
    (row,) = rows_of(("a", BOTH.model_copy(update={"femurs": (femur,)})))
    assert row["volumes_cm3.head.cortical"] == "0.25"
    assert row["measurements.cortical_thickness.neck.mean_mm"] == "1.4937"
    centre = [row[f"geometry.head_centre_lps_mm.{axis}"] for axis in "xyz"]
    assert centre == ["1.5", "-2.0", "3.25"]
    assert row["complete"] == "true"


def test_what_is_null_is_an_empty_cell_never_a_zero() -> None:
    (row,) = rows_of(("a", analysis(axial_geometry()).report))
    assert row["geometry.neck_shaft_angle_deg"] == ""
    assert row["measurements.cross_sections.shaft.buckling_ratio"] == ""
    assert row["geometry.planes.distal.point_lps_mm.x"] == ""
    assert row["measurements.projected_density.status"] == ""


def test_flags_are_listed_by_code() -> None:
    metal = QualityFlag(code=FlagCode.METAL, severity=Severity.WARNING, message="m")
    thick = QualityFlag(code=FlagCode.THICK_SLICES, severity=Severity.INFO, message="m")
    made_up = BOTH.femurs[0]
    femur = made_up.model_copy(update={"flags": (*made_up.flags, metal)})
    report = BOTH.model_copy(update={"femurs": (femur,), "flags": (thick,)})
    (row,) = rows_of(("a", report))
    assert row["flags"] == "TRUNCATED_DISTAL METAL"
    assert row["series.flags"] == "THICK_SLICES"


def test_the_calibration_stands_beside_its_densities() -> None:
    line = Calibration.model_validate(
        {"slope": 0.86, "intercept": -2.1, "unit": "mg/cm3 HA", "method": "internal"}
    )
    options = JobOptions(calibration=line)
    made = BOTH.provenance.model_copy(update={"options": options})
    row = rows_of(("a", BOTH.model_copy(update={"provenance": made})))[0]
    found = {name: row[f"provenance.options.calibration.{name}"] for name in ("slope", "unit")}
    assert found == {"slope": "0.86", "unit": "mg/cm3 HA"}
    assert row["provenance.options.calibration.method"] == "internal"


def test_no_result_leaves_the_header_alone() -> None:
    assert rows_of() == []
