"""From files to files: segmentation, structured report and report.json agree on every volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from service.artifacts.results import write_results
from service.domain.findings import AnalysisReport
from tests.builders.dicom_results import volumes_in, volumes_of
from tests.builders.hip_series import hip_members
from tests.unit.pipeline.test_run import run

REGIONS = ("head", "neck", "trochanter", "intertrochanter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a drawn left hip."""
    out = tmp_path_factory.mktemp("results")
    write_results(run(hip_members()), out)
    return out


def _report(folder: Path) -> AnalysisReport:
    return AnalysisReport.model_validate_json((folder / "report.json").read_text())


def test_voxels_of_a_segment_times_their_volume_are_the_report_s(folder: Path) -> None:
    (left,) = _report(folder).femurs
    seg = pydicom.dcmread(folder / "segmentation.dcm")
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    voxel_cm3 = np.prod(measures.PixelSpacing) * measures.SpacingBetweenSlices / 1000.0
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    frames = bits[: seg.NumberOfFrames * seg.Rows * seg.Columns].reshape(seg.NumberOfFrames, -1)
    found = {segment.TrackingID: 0.0 for segment in seg.SegmentSequence}
    for groups, frame in zip(seg.PerFrameFunctionalGroupsSequence, frames, strict=True):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[seg.SegmentSequence[number - 1].TrackingID] += frame.sum() * voxel_cm3

    assert found["left_periosteal"] == pytest.approx(left.periosteal_volume_in_view_cm3)
    assert found["left_cortical"] + found["left_trabecular"] == pytest.approx(
        found["left_periosteal"]
    )
    for name in REGIONS:
        assert found[f"left_{name}"] == pytest.approx(getattr(left.volumes_cm3, name).integral)


def test_the_structured_report_says_what_the_report_says(folder: Path) -> None:
    (left,) = _report(folder).femurs
    expected = volumes_of(left)
    assert set(expected) == {
        f"left_{name}" for name in ("periosteal", *REGIONS, "combination", "total")
    }
    found = volumes_in(folder / "measurements.dcm")
    assert found == {name: pytest.approx(values) for name, values in expected.items()}
