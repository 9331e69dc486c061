"""Real scanners' series: what is written on them is the reference masks, and theirs."""

from __future__ import annotations

import io
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from service.artifacts.dicom_source import PATIENT_AND_STUDY
from tests.builders.dicom_results import (
    DicomResults,
    volumes_in,
    volumes_of,
    write_dicom_results,
)
from tests.builders.reference_analyses import ANNOTATED, reference_analysis, reference_mask
from tests.peers import dciodvfy_errors
from tests.reference_data import needs_reference_data

ALWAYS = ("STS_012", "STS_020")
"""A right femur cut by the field of view, and a whole left one; the others are slow together."""

pytestmark = [
    *needs_reference_data,
    # the Study ID of these series is a character too long
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(f, id=f.name, marks=[] if f.name in ALWAYS else [pytest.mark.slow])
        for f in ANNOTATED
    ],
)
def annotation(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


@pytest.fixture(scope="module")
def results(annotation: Path, tmp_path_factory: pytest.TempPathFactory) -> DicomResults:
    return write_dicom_results(reference_analysis(annotation), tmp_path_factory.mktemp("dicom"))


def test_the_segmentation_is_the_reference_masks(annotation: Path, results: DicomResults) -> None:
    periosteal = reference_mask(annotation, "periosteal")
    endosteal = reference_mask(annotation, "endosteal")
    expected = {
        "periosteal": periosteal,
        "cortical": periosteal & ~endosteal,
        "trabecular": endosteal,
    }
    seg = hd.seg.segread(results.segmentation)
    uids = [s.sop_instance_uid for s in results.analysis.series.slices]
    stack = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for segment in results.segments:
        found = stack[..., segment.number - 1]
        np.testing.assert_array_equal(found, segment.on_source(results.analysis))
        if segment.name in expected:
            np.testing.assert_array_equal(found, expected.pop(segment.name))
    assert not expected


def test_the_structured_report_says_what_the_report_says(
    annotation: Path, results: DicomResults
) -> None:
    (femur,) = results.analysis.report.femurs
    found = volumes_in(results.measurements)

    assert found == {name: pytest.approx(values) for name, values in volumes_of(femur).items()}
    voxel_mm3 = results.analysis.source_geometry.voxel_volume_mm3
    cm3 = reference_mask(annotation, "periosteal").sum() * voxel_mm3 / 1000.0
    assert found[f"{femur.side.value}_periosteal"] == pytest.approx([cm3])


def _ct(results: DicomResults) -> bytes:
    return results.analysis.series.slices[0].member.content


def test_patient_study_and_frame_of_reference_are_the_scanner_s(results: DicomResults) -> None:
    ct = pydicom.dcmread(io.BytesIO(_ct(results)), stop_before_pixels=True)
    kept = [keyword for keyword in PATIENT_AND_STUDY if keyword in ct]
    assert {"PatientName", "PatientID", "StudyDate", "StudyID"} <= set(kept)
    for file in (results.segmentation, results.measurements):
        ours = pydicom.dcmread(file)
        for keyword in ("StudyInstanceUID", *kept):
            assert ours[keyword].value == ct[keyword].value
        assert ours.preamble == b"\0" * 128
    seg = pydicom.dcmread(results.segmentation)
    assert seg.FrameOfReferenceUID == ct.FrameOfReferenceUID


def test_dciodvfy_finds_no_error_that_the_scanner_s_files_lack(
    results: DicomResults, tmp_path: Path
) -> None:
    """Patient and study are kept as they are, an overlong Study ID included."""
    (tmp_path / "ct.dcm").write_bytes(_ct(results))
    theirs = dciodvfy_errors(tmp_path / "ct.dcm", "CTImage")
    for file, iod in ((results.segmentation, "Segmentation"), (results.measurements, "EnhancedSR")):
        assert [line for line in dciodvfy_errors(file, iod) if line not in theirs] == []
