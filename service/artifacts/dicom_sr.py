"""Measurements as a DICOM structured report, TID 1500, each linked to its segment."""

from __future__ import annotations

import warnings
from pathlib import Path

from highdicom import UID
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceImageForMeasurement,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from service.artifacts.dicom_codes import (
    ARTIFICIAL_INTELLIGENCE,
    CORTICAL_VOLUME,
    CT_PROCEDURE,
    CUBIC_CENTIMETER,
    DEVICE,
    FEMUR,
    IMAGING_REPORT,
    LATERALITY,
    OWN_SCHEME,
    PROXIMAL_FEMUR,
    QUALITY_FLAG,
    SEGMENT_TERMS,
    TRABECULAR_VOLUME,
    VOLUME,
)
from service.artifacts.dicom_seg import MANUFACTURER, algorithm_parameters
from service.artifacts.dicom_source import DicomSource
from service.artifacts.segments import Segment
from service.domain.findings import Compartments
from service.domain.imaging import Analysis, FemurResult

SERIES_NUMBER = 9002
"""Beside the segmentation's."""

DEVICE_UID = "2.25.270266573684732884471339042043720504542"
"""Of the software as an observer, whatever machine it runs on."""

COMBINATION = ("neck", "trochanter", "intertrochanter")
TOTAL = ("head", *COMBINATION)

Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


def write_measurements(
    analysis: Analysis,
    segments: tuple[Segment, ...],
    seg: Dataset,
    source: DicomSource,
    path: Path,
) -> None:
    """Write the report's volumes as an Enhanced SR (PS3.3 A.35.2; PS3.16 TID 1500, 1411, 1501).

    One group per segment that has a volume in the report; sums over regions name every segment they
    sum. What was not measured is left out, and the femur's quality flags stand with its periosteal
    segment. Patient and study are the CT's; the preamble is zero.

    Args:
        analysis: whose numbers they are.
        segments: those of the segmentation.
        seg: the segmentation as ``write_segmentation`` returns it.
        source: of ``analysis.series``.
        path: written anew.
    """
    groups: list[Group] = [
        _segment_group(analysis, segment, seg)
        for segment in segments
        if _volumes_of(segment) is not None
    ]
    for femur in analysis.femurs:
        of_femur = {s.name: s.number for s in segments if s.femur is femur}
        groups += _sum_groups(femur, of_femur, seg)
    provenance = analysis.report.provenance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # may quote the patient
        report = EnhancedSR(
            evidence=[*source.instances(), _reference_to(seg, source)],
            content=MeasurementReport(
                observation_context=_observer(),
                procedure_reported=CT_PROCEDURE,
                imaging_measurements=groups,
                title=IMAGING_REPORT,
            ),
            series_instance_uid=UID(),
            series_number=SERIES_NUMBER,
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            manufacturer_model_name=MANUFACTURER,
            software_versions=provenance.femurct_version,
            device_serial_number=provenance.femurct_version,
        )
        report.SeriesDescription = "femurct measurements"
        source.keep_patient_and_study(report)
        report.save_as(path, enforce_file_format=True)


def _reference_to(seg: Dataset, source: DicomSource) -> Dataset:
    ds = source.reference(seg.SOPInstanceUID)
    ds.SOPClassUID, ds.SeriesInstanceUID = seg.SOPClassUID, seg.SeriesInstanceUID
    return ds


def _observer() -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID,
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=CodedConcept.from_code(DEVICE),
            observer_identifying_attributes=device,
        )
    )


def _algorithm(analysis: Analysis) -> AlgorithmIdentification:
    provenance = analysis.report.provenance
    return AlgorithmIdentification(
        name=MANUFACTURER,
        version=provenance.femurct_version,
        parameters=["=".join(pair) for pair in algorithm_parameters(provenance)],
        family=ARTIFICIAL_INTELLIGENCE,
    )


def _volumes_of(segment: Segment) -> Compartments | None:
    """The report's numbers on a segment; None where it has none."""
    report = segment.femur.report
    match segment.name:
        case "periosteal":
            in_view = report.periosteal_volume_in_view_cm3
            return Compartments(integral=in_view, cortical=None, trabecular=None)
        case "head":
            return report.volumes_cm3.head
        case "neck":
            return report.volumes_cm3.neck
        case "trochanter":
            return report.volumes_cm3.trochanter
        case "intertrochanter":
            return report.volumes_cm3.intertrochanter
        case _:
            return None


def _measurements(
    volumes: Compartments, of: SourceImageForMeasurement | None = None
) -> list[Measurement]:
    named = (
        (VOLUME, volumes.integral),
        (CORTICAL_VOLUME, volumes.cortical),
        (TRABECULAR_VOLUME, volumes.trabecular),
    )
    return [
        Measurement(
            name=name,
            value=value,
            unit=CUBIC_CENTIMETER,
            referenced_images=None if of is None else [of],
        )
        for name, value in named
        if value is not None
    ]


def _segment_group(analysis: Analysis, segment: Segment, seg: Dataset) -> Group:
    term = SEGMENT_TERMS[segment.name]
    volumes = _volumes_of(segment)
    flags = segment.femur.report.flags if segment.name == "periosteal" else ()
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=segment.tracking_uid, identifier=segment.tracking_id
        ),
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=segment.number,
            source_series=SourceSeriesForSegmentation(analysis.series.series_instance_uid),
        ),
        finding_category=term.category,
        finding_type=term.property_type,
        finding_sites=[_site(FEMUR, segment.femur)],
        algorithm_id=_algorithm(analysis),
        measurements=[] if volumes is None else _measurements(volumes),
        qualitative_evaluations=[
            QualitativeEvaluation(
                name=QUALITY_FLAG,
                value=CodedConcept(f.code.value, OWN_SCHEME, f.code.value.replace("_", " ")),
            )
            for f in flags
        ],
    )


def _sum_groups(femur: FemurResult, numbers: dict[str, int], seg: Dataset) -> list[Group]:
    """Combination and total, each with the segments it is the sum of."""
    volumes = femur.report.volumes_cm3
    sums = (("combination", COMBINATION, volumes.combination), ("total", TOTAL, volumes.total))
    return [
        MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=UID(), identifier=f"{femur.crop.side.value}_{name}"
            ),
            finding_type=PROXIMAL_FEMUR,
            finding_sites=[_site(PROXIMAL_FEMUR, femur)],
            measurements=_measurements(
                volume, _segments_measured(seg, [numbers[part] for part in parts])
            ),
        )
        for name, parts, volume in sums
        if volume is not None and set(parts) <= set(numbers)
    ]


def _segments_measured(seg: Dataset, numbers: list[int]) -> SourceImageForMeasurement:
    item = SourceImageForMeasurement(seg.SOPClassUID, seg.SOPInstanceUID)
    item.ReferencedSOPSequence[0].ReferencedSegmentNumber = numbers
    return item


def _site(location: Code, femur: FemurResult) -> FindingSite:
    return FindingSite(anatomic_location=location, laterality=LATERALITY[femur.crop.side])
