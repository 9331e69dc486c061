"""What DICOM results take from the CT they were made of: its instances, its patient and study."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import pydicom
from highdicom import UID
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage

from service.domain.imaging import CtSeries, CtSlice

PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "LongitudinalTemporalInformationModified",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
)
"""Attributes of PS3.3 C.7.1.1, C.7.2.1, C.7.2.2 and C.12.1 that a result has in common with its CT,
kept byte for byte."""

MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)
"""Of these, the ones that must be there, if empty (type 2)."""

LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
"""What was once compressed with loss stays so in what is derived from it (PS3.3 C.7.6.1.1.5)."""

PLACE_TOLERANCE = 0.01
"""A slice that lies farther from a plane of the volume, in slice spacings, is not that plane."""


@dataclass(frozen=True)
class SourcePlane:
    """One plane of the volume.

    Attributes:
        position_lps_mm: centre of its first voxel.
        ct_slice: the slice that is this plane; None where the plane was interpolated.
    """

    position_lps_mm: tuple[float, float, float]
    ct_slice: CtSlice | None


class DicomSource:
    """A series as the results' templates: its references, and what they keep of it.

    Attributes:
        planes: of the volume, ascending along z.
        frame_of_reference_uid: the series' own; a new one where its files name none in common.
    """

    def __init__(self, series: CtSeries) -> None:
        self._series = series
        self._header = _read_header(series.slices[0])
        self.planes = _planes_of(series)
        self.frame_of_reference_uid = series.frame_of_reference_uid or UID()

    def keep_patient_and_study(self, result: Dataset) -> None:
        """Copy patient and study into a result, as they stand in the CT's first slice."""
        for keyword in MAY_BE_EMPTY:
            setattr(result, keyword, None)
        _copy_raw(self._header, result, PATIENT_AND_STUDY)

    def keep_lossy(self, result: Dataset) -> None:
        """Copy what the CT says of compression with loss into an image made of it."""
        _copy_raw(self._header, result, LOSSY)

    def instances(self) -> list[Dataset]:
        """One reference per file, in the order of slices; patient and study left empty."""
        by_uid = {s.sop_instance_uid: s for s in self._series.slices}
        return [self.reference(uid) for uid in by_uid]

    def reference(self, sop_instance_uid: str) -> Dataset:
        """What highdicom asks of any source: identifiers, and no word on the patient.

        The patient is left out since highdicom logs a name that it finds odd.
        """
        ds = Dataset()
        ds.SOPClassUID = self.sop_class_uid
        ds.SOPInstanceUID = sop_instance_uid
        ds.StudyInstanceUID = self._series.study_instance_uid
        ds.SeriesInstanceUID = self._series.series_instance_uid
        ds.FrameOfReferenceUID = self.frame_of_reference_uid
        ds.Modality = "CT"
        ds.PatientName = "^"
        for keyword in MAY_BE_EMPTY[1:]:
            setattr(ds, keyword, "")
        return ds

    @property
    def sop_class_uid(self) -> str:
        """Of the CT's files."""
        uid = self._header.get("SOPClassUID") or CTImageStorage
        return str(uid)


def _read_header(ct_slice: CtSlice) -> Dataset:
    """The attributes above, and no other, from the slice's file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quoting values: a name at worst
        return pydicom.dcmread(
            io.BytesIO(ct_slice.member.content),
            force=True,
            stop_before_pixels=True,
            specific_tags=["SOPClassUID", *PATIENT_AND_STUDY, *LOSSY],
        )


def _copy_raw(source: Dataset, target: Dataset, keywords: tuple[str, ...]) -> None:
    """Copy elements without reading their values, so that an odd one neither fails nor changes."""
    for keyword in keywords:
        tag = Tag(tag_for_keyword(keyword) or 0)
        element = source.get_item(tag)
        if isinstance(element, RawDataElement):
            element = element._replace(VR=dictionary_VR(tag), value=element.value or b"")
        if element is not None:
            target[tag] = element


def _planes_of(series: CtSeries) -> tuple[SourcePlane, ...]:
    places = series.slice_places or tuple(range(len(series.slices)))
    at_plane = {
        round(place): ct_slice
        for place, ct_slice in zip(places, series.slices, strict=True)
        if abs(place - round(place)) <= PLACE_TOLERANCE
    }
    planes = []
    for k in range(series.geometry.shape_zyx[0]):
        ct_slice = at_plane.get(k)
        x, y, z = (float(v) for v in series.geometry.index_to_lps((k, 0, 0)))
        planes.append(SourcePlane(ct_slice.position_lps_mm if ct_slice else (x, y, z), ct_slice))
    return tuple(planes)
