"""The structured report says what report.json says, each number with its segment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pydicom
import pytest
from pydicom.dataset import Dataset

from service.artifacts.dicom_seg import write_segmentation
from service.artifacts.dicom_source import DicomSource
from service.artifacts.dicom_sr import write_measurements
from service.artifacts.segments import segments_of
from service.domain.findings import FemurSide
from service.domain.imaging import Analysis
from tests.builders.analyses import SERIES_UID, analysis, volumes
from tests.builders.ct_series import PATIENT, PATIENT_ID
from tests.builders.source_grids import SMALL


def written(value: Analysis, folder: Path) -> tuple[hd.sr.EnhancedSR, Dataset]:
    segments, source = segments_of(value), DicomSource(value.series)
    seg = write_segmentation(value, segments, source, folder / "seg.dcm")
    write_measurements(value, segments, seg, source, folder / "sr.dcm")
    return hd.sr.srread(folder / "sr.dcm"), pydicom.dcmread(folder / "seg.dcm")


def _volumes_in(group: object) -> dict[str, float]:
    return {m.name.meaning: m.value for m in group.get_measurements()}


@pytest.fixture(scope="module")
def both_sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[hd.sr.EnhancedSR, Dataset]:
    value = analysis(SMALL, *FemurSide)
    return written(value, tmp_path_factory.mktemp("sr"))


def test_volumes_are_those_of_the_report(both_sides: tuple[hd.sr.EnhancedSR, Dataset]) -> None:
    """The builder's: 1 cm3 per region, a quarter of it cortical, 4 in view."""
    report, _ = both_sides
    groups = report.content.get_volumetric_roi_measurement_groups()
    found = {group.tracking_identifier: _volumes_in(group) for group in groups}

    assert found == {
        f"{side}_{name}": (
            {"Volume": 4.0}
            if name == "periosteal"
            else {
                "Volume": 1.0,
                "Volume of cortical compartment": 0.25,
                "Volume of trabecular compartment": 0.75,
            }
        )
        for side in ("left", "right")
        for name in ("periosteal", "head", "neck", "trochanter", "intertrochanter")
    }
    units = {m.unit for group in groups for m in group.get_measurements()}
    assert units == {pydicom.sr.codedict.codes.UCUM.CubicCentimeter}


def test_a_group_names_its_segment_and_shares_its_tracking_uid(
    both_sides: tuple[hd.sr.EnhancedSR, Dataset],
) -> None:
    report, seg = both_sides
    segments = {int(s.SegmentNumber): s for s in seg.SegmentSequence}

    for group in report.content.get_volumetric_roi_measurement_groups():
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        (number,) = group.referenced_segment[0].referenced_segment_numbers
        assert segments[number].TrackingID == group.tracking_identifier
        assert segments[number].TrackingUID == group.tracking_uid


def test_sums_name_every_segment_they_sum(tmp_path: Path) -> None:
    value = analysis(SMALL)
    (femur,) = value.femurs
    part = volumes().head
    summed = volumes().model_copy(update={"combination": part, "total": part})
    femur = replace(femur, report=femur.report.model_copy(update={"volumes_cm3": summed}))
    report, _ = written(replace(value, femurs=(femur,)), tmp_path)

    named = {
        group.tracking_identifier: list(_source_of(group).ReferencedSegmentNumber)
        for group in report.content.get_image_measurement_groups()
    }
    assert named == {"left_combination": [5, 6, 7], "left_total": [4, 5, 6, 7]}


def _source_of(group: object) -> Dataset:
    (measurement,) = [m for m in group.get_measurements() if m.name.meaning == "Volume"]
    return measurement.referenced_images[0].ReferencedSOPSequence[0]


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    value = analysis(SMALL)
    (femur,) = value.femurs
    unknown = femur.report.model_copy(update={"volumes_cm3": volumes(complete=False)})
    report, _ = written(replace(value, femurs=(replace(femur, report=unknown),)), tmp_path)

    groups = report.content.get_volumetric_roi_measurement_groups()
    assert "left_intertrochanter" not in {group.tracking_identifier for group in groups}


def test_quality_flags_go_along(both_sides: tuple[hd.sr.EnhancedSR, Dataset]) -> None:
    report, _ = both_sides
    group, *_ = report.content.get_volumetric_roi_measurement_groups()

    # highdicom counts the finding category among them
    (flag,) = [e for e in group.get_qualitative_evaluations() if e.name.value == "quality_flag"]
    assert flag.value.value == "TRUNCATED_DISTAL"


def test_patient_study_and_evidence_are_the_ct_s(
    both_sides: tuple[hd.sr.EnhancedSR, Dataset],
) -> None:
    report, seg = both_sides
    (study,) = report.CurrentRequestedProcedureEvidenceSequence

    assert (report.PatientName, report.PatientID) == (PATIENT, PATIENT_ID)
    assert report.StudyInstanceUID == study.StudyInstanceUID == seg.StudyInstanceUID
    references = {
        series.SeriesInstanceUID: len(series.ReferencedSOPSequence)
        for series in study.ReferencedSeriesSequence
    }
    assert references == {SERIES_UID: 8, seg.SeriesInstanceUID: 1}
    assert report.preamble == b"\0" * 128
