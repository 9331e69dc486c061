"""The segmentation lies on the CT's frames, voxel for voxel, and says whose it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from service.artifacts.dicom_seg import write_segmentation
from service.artifacts.dicom_seg_check import check_segmentation
from service.artifacts.dicom_source import DicomSource
from service.artifacts.segments import Segment, segments_of
from service.domain.findings import FemurSide
from service.domain.geometry import VolumeGeometry
from service.domain.imaging import Analysis
from service.errors import ArtifactError
from tests.builders.analyses import SERIES_UID, analysis
from tests.builders.ct_series import PATIENT, PATIENT_ID
from tests.builders.source_grids import GRIDS, SMALL, tilted


def written(value: Analysis, path: Path) -> tuple[tuple[Segment, ...], Dataset]:
    segments = segments_of(value)
    write_segmentation(value, segments, DicomSource(value.series), path)
    return segments, pydicom.dcmread(path)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_highdicom_reads_the_masks_back_by_source_image(
    grid: VolumeGeometry, tmp_path: Path
) -> None:
    value = analysis(grid)
    segments, _ = written(value, tmp_path / "seg.dcm")

    seg = hd.seg.segread(tmp_path / "seg.dcm")
    uids = [s.sop_instance_uid for s in value.series.slices]
    stack = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for segment in segments:
        np.testing.assert_array_equal(stack[..., segment.number - 1], segment.on_source(value))


def test_frames_lie_where_their_source_lies(tmp_path: Path) -> None:
    value = analysis(tilted())
    _, seg = written(value, tmp_path / "seg.dcm")

    place = {s.sop_instance_uid: s.position_lps_mm for s in value.series.slices}
    for groups in seg.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        found = groups.PlanePositionSequence[0].ImagePositionPatient
        assert found == pytest.approx(place[image.ReferencedSOPInstanceUID], abs=1e-5)
        assert image.SpatialLocationsPreserved == "YES"
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [1, 1]
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert cosines == pytest.approx((1, 0, 0, 0, np.cos(np.pi / 6), 0.5))


def test_frames_without_a_voxel_are_left_out(tmp_path: Path) -> None:
    value = analysis(SMALL)
    segments, seg = written(value, tmp_path / "seg.dcm")

    planes = sum(int(s.on_source(value).any(axis=(1, 2)).sum()) for s in segments)
    assert seg.NumberOfFrames == planes < len(segments) * len(value.series.slices)


def test_patient_study_and_frame_of_reference_are_the_ct_s(tmp_path: Path) -> None:
    value = analysis(SMALL)
    _, seg = written(value, tmp_path / "seg.dcm")

    assert (seg.PatientName, seg.PatientID) == (PATIENT, PATIENT_ID)
    assert seg.StudyInstanceUID == value.series.study_instance_uid
    assert seg.FrameOfReferenceUID == value.series.frame_of_reference_uid
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES_UID
    assert seg.preamble == b"\0" * 128
    assert seg.ContentDescription == "Research use only: not validated for clinical use."


def test_segments_are_coded_with_side_and_tracking(tmp_path: Path) -> None:
    segments, seg = written(analysis(SMALL, *FemurSide), tmp_path / "seg.dcm")

    neck = seg.SegmentSequence[4 + 7]
    assert neck.SegmentLabel == "Right femur neck"
    kind = neck.SegmentedPropertyTypeCodeSequence[0]
    assert kind.CodeValue == "29627003"
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Right"
    assert neck.AnatomicRegionSequence[0].CodeValue == "71341001"
    assert (neck.TrackingID, neck.TrackingUID) == ("right_neck", segments[4 + 7].tracking_uid)
    assert neck.SegmentAlgorithmType == "AUTOMATIC"


def test_a_frame_of_an_enhanced_file_is_named_by_file_and_number(tmp_path: Path) -> None:
    value = analysis(SMALL)
    one_file = tuple(
        replace(s, sop_instance_uid="1.2.3", frame=number)
        for number, s in enumerate(value.series.slices)
    )
    value = replace(value, series=replace(value.series, slices=one_file))
    _, seg = written(value, tmp_path / "seg.dcm")

    for groups in seg.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        z = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        assert image.ReferencedSOPInstanceUID == "1.2.3"
        assert image.ReferencedFrameNumber == (z - 100.0) / 2.0 + 1
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_an_interpolated_plane_names_no_source(tmp_path: Path) -> None:
    value = analysis(SMALL)
    slices = value.series.slices
    places = tuple(float(k) for k in range(len(slices)) if k != 4)
    series = replace(value.series, slices=slices[:4] + slices[5:], slice_places=places)
    _, seg = written(replace(value, series=series), tmp_path / "seg.dcm")

    nameless = {
        float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        for groups in seg.PerFrameFunctionalGroupsSequence
        if not groups.DerivationImageSequence
    }
    assert nameless == {108.0}


@pytest.mark.parametrize("byte", [0, -20])
def test_a_file_that_is_not_the_masks_is_refused(byte: int, tmp_path: Path) -> None:
    value = analysis(SMALL)
    segments, seg = written(value, tmp_path / "seg.dcm")
    pixels = bytearray(seg.PixelData)
    pixels[byte] ^= 1
    seg.PixelData = bytes(pixels)
    seg.save_as(tmp_path / "seg.dcm")

    with pytest.raises(ArtifactError) as caught:
        check_segmentation(tmp_path / "seg.dcm", value, segments)
    assert caught.value.code == "segmentation_mismatch"


def test_a_file_with_shifted_frames_is_refused(tmp_path: Path) -> None:
    value = analysis(SMALL)
    segments, seg = written(value, tmp_path / "seg.dcm")
    for groups in seg.PerFrameFunctionalGroupsSequence:
        x, y, z = groups.PlanePositionSequence[0].ImagePositionPatient
        groups.PlanePositionSequence[0].ImagePositionPatient = [x + 1, y, z]
    seg.save_as(tmp_path / "seg.dcm")

    with pytest.raises(ArtifactError):
        check_segmentation(tmp_path / "seg.dcm", value, segments)
