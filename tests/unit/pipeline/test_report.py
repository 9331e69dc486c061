"""Parts become a report: flags once each, complete only with all four regions."""

from __future__ import annotations

import numpy as np

from service.domain.findings import (
    FemurGeometry,
    FemurSide,
    FlagCode,
    QualityFlag,
    RegionalVolumes,
    Severity,
)
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import (
    CtSeries,
    CtSlice,
    FemurMasks,
    FemurRegions,
    FieldOfViewCuts,
    Member,
)
from service.pipeline.report import FemurNumbers, analysis_report, femur_report
from tests.builders.analyses import provenance, volumes


def flag(code: FlagCode, severity: Severity = Severity.WARNING) -> QualityFlag:
    return QualityFlag(code=code, severity=severity, message=f"{code} {severity}")


def masks() -> FemurMasks:
    """1000 periosteal voxels of 1 x 2 x 0.5 mm: 1 cm3."""
    periosteal = np.zeros((12, 12, 12), dtype=bool)
    periosteal[1:11, 1:11, 1:11] = True
    grid = VolumeGeometry.axis_aligned((12, 12, 12), SpacingMm(1.0, 2.0, 0.5))
    return FemurMasks(FemurSide.RIGHT, periosteal, np.zeros_like(periosteal), grid)


def regions(*flags: QualityFlag) -> FemurRegions:
    geometry = FemurGeometry(head_radius_mm=22.5)
    return FemurRegions(np.zeros((12, 12, 12), dtype=np.uint8), geometry, flags)


def series(slice_spacing_mm: float) -> CtSeries:
    slices = tuple(
        CtSlice(Member(i + 1, b""), f"1.2.{i}", (0.0, 0.0, i * slice_spacing_mm), 1.0, -1024.0)
        for i in range(3)
    )
    grid = VolumeGeometry.axis_aligned((3, 4, 5), SpacingMm(slice_spacing_mm, 0.7, 0.6))
    return CtSeries("1.2.3", "1.2.4", "1.2.5", slices, grid, "FFS", 2)


def test_a_femur_with_all_four_regions_is_complete() -> None:
    report = femur_report(masks(), regions(), FemurNumbers(volumes()), FieldOfViewCuts(distal=True))
    assert report.complete
    assert report.side is FemurSide.RIGHT
    assert report.flags == ()
    assert report.geometry.head_radius_mm == 22.5
    assert report.periosteal_volume_in_view_cm3 == 1.0


def test_a_femur_without_one_region_is_incomplete() -> None:
    report = femur_report(
        masks(), regions(), FemurNumbers(volumes(complete=False)), FieldOfViewCuts()
    )
    assert not report.complete
    assert report.volumes_cm3.head is not None
    assert report.volumes_cm3.total is None


def test_a_femur_with_no_region_keeps_its_volume_in_view() -> None:
    nothing = RegionalVolumes(
        head=None, neck=None, trochanter=None, intertrochanter=None, combination=None, total=None
    )
    report = femur_report(masks(), regions(), FemurNumbers(nothing), FieldOfViewCuts(proximal=True))
    assert not report.complete
    assert report.periosteal_volume_in_view_cm3 == 1.0


def test_cuts_by_the_field_of_view_are_flagged() -> None:
    cuts = FieldOfViewCuts(proximal=True, distal=True, in_plane=True)
    report = femur_report(masks(), regions(), FemurNumbers(volumes()), cuts)
    assert [f.code for f in report.flags] == [
        FlagCode.TRUNCATED_PROXIMAL,
        FlagCode.TRUNCATED_LATERAL,
    ]


def test_each_code_stands_once_with_its_greatest_severity() -> None:
    cut = flag(FlagCode.TRUNCATED_PROXIMAL, Severity.ERROR)
    doubt = flag(FlagCode.LOW_CONFIDENCE)
    report = femur_report(
        masks(),
        regions(doubt, cut),
        FemurNumbers(volumes()),
        FieldOfViewCuts(proximal=True),
        (doubt,),
    )
    assert report.flags == (doubt, cut)


def test_a_second_reason_of_equal_severity_is_kept_and_a_lesser_one_is_not() -> None:
    code, error = FlagCode.TRUNCATED_LATERAL, Severity.ERROR
    side = QualityFlag(code=code, severity=error, message="the side cuts the neck.")
    end = QualityFlag(code=code, severity=error, message="the side cuts trochanter")
    cuts = FieldOfViewCuts(in_plane=True)
    found = femur_report(masks(), regions(side, end, side), FemurNumbers(volumes()), cuts)
    joined = "the side cuts the neck; the side cuts trochanter"
    assert found.flags == (QualityFlag(code=code, severity=error, message=joined),)


def test_the_series_is_summed_up_without_study_or_patient() -> None:
    femur = femur_report(masks(), regions(), FemurNumbers(volumes()), FieldOfViewCuts())
    report = analysis_report(series(1.0), (femur,), provenance())
    summary = report.series
    assert summary.series_instance_uid == "1.2.3"
    assert summary.spacing_mm == (1.0, 0.7, 0.6)
    assert summary.shape_zyx == (3, 4, 5)
    assert (summary.slices_used, summary.files_set_aside) == (3, 2)
    assert summary.patient_position == "FFS"
    assert report.flags == ()
    assert report.femurs == (femur,)
    assert "1.2.4" not in report.model_dump_json()


def test_slices_more_than_one_and_a_half_mm_apart_are_flagged_as_information() -> None:
    assert analysis_report(series(1.5), (), provenance()).flags == ()
    (thick,) = analysis_report(series(3.27), (), provenance()).flags
    assert thick.code is FlagCode.THICK_SLICES
    assert thick.severity is Severity.INFO
    assert "3.27 mm" in thick.message
    assert "moments of the sections" in thick.message
