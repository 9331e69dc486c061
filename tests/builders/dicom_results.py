"""The two DICOM files of an analysis, written for tests that read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.artifacts.dicom_seg import write_segmentation
from service.artifacts.dicom_source import DicomSource
from service.artifacts.dicom_sr import write_measurements
from service.artifacts.segments import Segment, segments_of
from service.domain.imaging import Analysis


@dataclass(frozen=True)
class DicomResults:
    """One analysis and its DICOM files."""

    analysis: Analysis
    segments: tuple[Segment, ...]
    segmentation: Path
    measurements: Path


def write_dicom_results(value: Analysis, folder: Path) -> DicomResults:
    """Write segmentation and measurements into an existing folder."""
    segments, source = segments_of(value), DicomSource(value.series)
    results = DicomResults(
        value, segments, folder / "segmentation.dcm", folder / "measurements.dcm"
    )
    seg = write_segmentation(value, segments, source, results.segmentation)
    write_measurements(value, segments, seg, source, results.measurements)
    return results
