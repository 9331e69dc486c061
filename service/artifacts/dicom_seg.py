"""Masks as a DICOM Segmentation on the CT's own frames (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import UID, AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from highdicom.seg import SegmentationTypeValues as SegmentationType
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage

from service.artifacts.dicom_codes import (
    ARTIFICIAL_INTELLIGENCE,
    FEMUR,
    LATERALITY,
    SEGMENT_TERMS,
)
from service.artifacts.dicom_seg_check import check_segmentation, segment_number
from service.artifacts.dicom_source import DicomSource, SourcePlane
from service.artifacts.palette import ENDOSTEAL, PERIOSTEAL, REGION_COLOURS, Colour
from service.artifacts.segments import Segment
from service.domain.findings import Provenance
from service.domain.imaging import Analysis

MANUFACTURER = "femurct"
SERIES_NUMBER = 9001
"""Far above what scanners use."""

CORTICAL: Colour = (230, 159, 0)

COLOURS: dict[str, Colour] = {
    "periosteal": PERIOSTEAL,
    "cortical": CORTICAL,
    "trabecular": ENDOSTEAL,
    **{region.name.lower(): colour for region, colour in REGION_COLOURS},
}


def write_segmentation(
    analysis: Analysis, segments: tuple[Segment, ...], source: DicomSource, path: Path
) -> Dataset:
    """Write the segments as one BINARY segmentation, read it back and compare it with the masks.

    Frames have the CT's size, position and orientation, and name the CT image that they lie on;
    frames without a voxel are left out. Patient and study are the CT's; the preamble is zero.

    Args:
        analysis: whose masks they are.
        segments: numbered from 1; at least one.
        source: of ``analysis.series``.
        path: written anew.

    Returns:
        What was written, without its pixels: what a report refers to.

    Raises:
        ArtifactError: ``segmentation_mismatch``.
        GeometryError: if a mask does not fit the source grid.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # may quote the patient
        frames = _packed_frames(analysis, segments)
        seg = _template(analysis, segments, source, list(frames))
        order = _frame_order(seg)
        _name_sources(seg, source)
        _, seg.Rows, seg.Columns = analysis.source_geometry.shape_zyx
        seg.PixelData = _joined([frames[key] for key in order], seg.Rows * seg.Columns)
        source.keep_patient_and_study(seg)
        source.keep_lossy(seg)
        seg.save_as(path, enforce_file_format=True)
        del seg.PixelData
        check_segmentation(path, analysis, segments)
    return seg


def _packed_frames(
    analysis: Analysis, segments: tuple[Segment, ...]
) -> dict[tuple[int, int], npt.NDArray[np.uint8]]:
    """Bits of each frame that has a voxel, by segment number and plane, in that order."""
    frames = {}
    for segment in segments:
        full = segment.on_source(analysis)
        for k in np.flatnonzero(full.reshape(len(full), -1).any(axis=1)):
            frames[segment.number, int(k)] = np.packbits(full[k].ravel(), bitorder="little")
    return frames


def _joined(frames: list[npt.NDArray[np.uint8]], pixels: int) -> bytes:
    """Frames one after the other, bit by bit (PS3.5, 8.1.1), padded to an even length."""
    if pixels % 8:
        bits = [np.unpackbits(frame, count=pixels, bitorder="little") for frame in frames]
        frames = [np.packbits(np.concatenate(bits), bitorder="little")]
    data = b"".join(frame.tobytes() for frame in frames)
    return data + b"\0" * (len(data) % 2)


def _template(
    analysis: Analysis,
    segments: tuple[Segment, ...],
    source: DicomSource,
    frames: list[tuple[int, int]],
) -> Segmentation:
    """The segmentation with one pixel per frame, which says that the frame is there.

    highdicom takes all masks as one array of bytes: 14 volumes, gigabytes. From one pixel each it
    makes the same header; the pixels are put in afterwards.
    """
    planes = sorted({k for _, k in frames})
    present = np.zeros((len(planes), 1, 1, len(segments)), np.uint8)
    for number, k in frames:
        present[planes.index(k), 0, 0, number - 1] = 1
    description = analysis.report.notice
    seg = Segmentation(
        source_images=[_plane_image(source, analysis, k) for k in planes],
        pixel_array=present,
        segmentation_type=SegmentationType.BINARY,
        segment_descriptions=[_description(s, analysis.report.provenance) for s in segments],
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=analysis.report.provenance.femurct_version,
        device_serial_number=analysis.report.provenance.femurct_version,
        content_description=description,
        content_label="FEMUR",
    )
    seg.SeriesDescription = "femurct segmentation"
    return seg


def _plane_image(source: DicomSource, analysis: Analysis, k: int) -> Dataset:
    """The plane as highdicom's source image of one pixel; its UID stands for it until named."""
    geometry = analysis.source_geometry
    spacing = geometry.spacing_mm
    row, column = geometry.affine_lps[:3, 0] / spacing.x, geometry.affine_lps[:3, 1] / spacing.y
    ds = source.reference(_stand_in(k))
    ds.SOPClassUID = CTImageStorage
    ds.Rows, ds.Columns = 1, 1
    ds.ImagePositionPatient = [round(v, 6) for v in source.planes[k].position_lps_mm]
    ds.ImageOrientationPatient = [round(float(v), 9) for v in (*row, *column)]
    ds.PixelSpacing = [round(spacing.y, 9), round(spacing.x, 9)]
    ds.SliceThickness = round(spacing.z, 9)
    return ds


def _stand_in(k: int) -> str:
    return f"2.25.{k}"


def _frame_order(seg: Segmentation) -> list[tuple[int, int]]:
    """Segment number and plane of each frame, in the order that highdicom has chosen."""
    return [
        (
            segment_number(groups, seg),
            int(_source_of(groups).ReferencedSOPInstanceUID.removeprefix("2.25.")),
        )
        for groups in seg.PerFrameFunctionalGroupsSequence
    ]


def _source_of(groups: Dataset) -> Dataset:
    image: Dataset = groups.DerivationImageSequence[0].SourceImageSequence[0]
    return image


def _description(segment: Segment, provenance: Provenance) -> SegmentDescription:
    side = segment.femur.crop.side
    term = SEGMENT_TERMS[segment.name]
    description = SegmentDescription(
        segment_number=segment.number,
        segment_label=f"{side.value.capitalize()} femur {segment.name}",
        segmented_property_category=term.category,
        segmented_property_type=term.property_type,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=MANUFACTURER,
            family=ARTIFICIAL_INTELLIGENCE,
            version=provenance.femurct_version,
            parameters=dict(algorithm_parameters(provenance)),
        ),
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
        anatomic_regions=[FEMUR],
        display_color=CIELabColor.from_rgb(*COLOURS[segment.name]),
    )
    modifiers = [LATERALITY[side], *([term.modifier] if term.modifier else [])]
    kind = description.SegmentedPropertyTypeCodeSequence[0]
    kind.SegmentedPropertyTypeModifierCodeSequence = [_item(code) for code in modifiers]
    region = description.AnatomicRegionSequence[0]
    region.AnatomicRegionModifierSequence = [_item(LATERALITY[side])]
    return description


def algorithm_parameters(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    """What makes the result again: networks by content, stride, definition of the regions."""
    return (
        *((f"{model.role}_sha256", model.sha256) for model in provenance.models),
        ("stride_z", str(provenance.stride_z or "default")),
        ("regions", provenance.regions_definition),
    )


def _item(code: Code) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = code[0], code[1], code[2]
    return ds


def _name_sources(seg: Segmentation, source: DicomSource) -> None:
    """Put the CT's images, or the frames of its one file, where the planes' stand-ins are."""
    planes = {_stand_in(k): plane for k, plane in enumerate(source.planes)}
    for group in seg.PerFrameFunctionalGroupsSequence:
        image = _source_of(group)
        plane = planes.get(image.ReferencedSOPInstanceUID)
        if plane is None:
            continue  # one item stands in every segment's frame: it was named before
        _name_source(image, plane, source.sop_class_uid)
    for group in seg.PerFrameFunctionalGroupsSequence:
        if (
            _source_of(group).ReferencedSOPInstanceUID in planes
        ):  # interpolated: no image lies there
            group.DerivationImageSequence = []
    used = {
        plane.ct_slice.sop_instance_uid: None
        for uid in (ref.ReferencedSOPInstanceUID for ref in seg.SourceImageSequence)
        if (plane := planes[uid]).ct_slice is not None
    }
    references = []
    for uid in used:
        reference = Dataset()
        reference.ReferencedSOPClassUID = source.sop_class_uid
        reference.ReferencedSOPInstanceUID = uid
        references.append(reference)
    seg.SourceImageSequence = references
    seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence = references


def _name_source(image: Dataset, plane: SourcePlane, sop_class_uid: str) -> None:
    ct_slice = plane.ct_slice
    if ct_slice is None:
        return
    image.ReferencedSOPClassUID = sop_class_uid
    image.ReferencedSOPInstanceUID = ct_slice.sop_instance_uid
    if ct_slice.frame is not None:
        image.ReferencedFrameNumber = ct_slice.frame + 1
