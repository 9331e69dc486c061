"""The two DICOM files of an analysis, and the volumes that they should hold and do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import highdicom as hd

from service.artifacts.dicom_seg import write_segmentation
from service.artifacts.dicom_source import DicomSource
from service.artifacts.dicom_sr import write_measurements
from service.artifacts.segments import Segment, segments_of
from service.domain.findings import Compartments, FemurReport
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


def volumes_in(measurements: Path) -> dict[str, list[float]]:
    """Values of every group of a structured report in cm3, by tracking identifier."""
    content = hd.sr.srread(measurements).content
    groups = [
        *content.get_volumetric_roi_measurement_groups(),
        *content.get_image_measurement_groups(),
    ]
    return {g.tracking_identifier: [m.value for m in g.get_measurements()] for g in groups}


def volumes_of(report: FemurReport) -> dict[str, list[float]]:
    """What ``volumes_in`` should find of one femur: what was measured, and nothing else."""
    in_view = report.periosteal_volume_in_view_cm3
    found = {"periosteal": [in_view]}
    for name, part in report.volumes_cm3:
        if isinstance(part, Compartments):
            values = (part.integral, part.cortical, part.trabecular)
            found[name] = [cm3 for cm3 in values if cm3 is not None]
    return {f"{report.side.value}_{name}": values for name, values in found.items()}
