"""The structured report says what report.json says, each number with its segment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from service.domain.findings import FemurSide
from service.domain.imaging import Analysis
from tests.builders.analyses import SERIES_UID, analysis, volumes
from tests.builders.ct_series import PATIENT, PATIENT_ID
from tests.builders.dicom_results import write_dicom_results
from tests.builders.source_grids import SMALL


def written(value: Analysis, folder: Path) -> tuple[hd.sr.EnhancedSR, Dataset]:
    results = write_dicom_results(value, folder)
    return hd.sr.srread(results.measurements), pydicom.dcmread(results.segmentation)


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
    assert units == {codes.UCUM.CubicCentimeter}


def test_a_group_names_its_segment_and_shares_its_tracking_uid(
    both_sides: tuple[hd.sr.EnhancedSR, Dataset],
) -> None:
    report, seg = both_sides
    segments = {int(s.SegmentNumber): s for s in seg.SegmentSequence}

    for group in report.content.get_volumetric_roi_measurement_groups():
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        series = group.referenced_segment.source_series_for_segmentation
        assert series.value == SERIES_UID
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


def test_a_group_names_its_side_and_what_measured_it(
    both_sides: tuple[hd.sr.EnhancedSR, Dataset],
) -> None:
    report, seg = both_sides
    for group in report.content.get_volumetric_roi_measurement_groups():
        side, _, _ = group.tracking_identifier.partition("_")
        (site,) = group.finding_sites
        assert (site.value.meaning, site.laterality.meaning) == ("Femur", side.capitalize())
        for name, value in (
            (codes.DCM.AlgorithmName, "femurct"),
            (codes.DCM.AlgorithmVersion, "0.1.0"),
        ):
            (item,) = hd.sr.utils.find_content_items(group[0], name=name)
            assert item.TextValue == value
    for segment in seg.SegmentSequence:
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("femurct", "0.1.0")
        assert "periosteal_sha256=" + "0" * 64 in algorithm.AlgorithmParameters
        assert "stride_z=default" in algorithm.AlgorithmParameters


def test_neither_file_takes_over_the_preamble_of_the_ct(tmp_path: Path) -> None:
    value = analysis(SMALL)
    first, *others = value.series.slices
    program = b"MZ" + first.member.content[2:]
    changed = replace(first, member=replace(first.member, content=program))
    series = replace(value.series, slices=(changed, *others))

    for result in written(replace(value, series=series), tmp_path):
        assert result.preamble == b"\0" * 128


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
