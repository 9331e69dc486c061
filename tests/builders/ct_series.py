"""Small CT series as real DICOM files, in any orientation, order, rescaling and transfer syntax."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.domain.imaging import Member

ROOT = "1.2.826.0.1.3680043.8.498."
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PATIENT, PATIENT_ID = "Doe^Jane", "4711"
UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def ramp(shape_zyx: tuple[int, int, int] = (4, 5, 6)) -> npt.NDArray[np.int16]:
    """HU that differ in every voxel: 100 z + 10 y + x."""
    z, y, x = np.indices(shape_zyx)
    return np.asarray(100 * z + 10 * y + x, np.int16)


@dataclass(frozen=True)
class CtSeriesSpec:
    """What to write; ``stored`` is ``[z, y, x]``, its z ascending along row x column."""

    stored: npt.NDArray[np.integer] = field(default_factory=ramp)
    orientation: tuple[float, ...] = AXIAL
    spacing_zyx_mm: tuple[float, float, float] = (2.0, 0.5, 0.75)
    origin_lps_mm: tuple[float, float, float] = (-10.0, -20.0, 30.0)
    slope: float = 1.0
    intercept: float = 0.0
    bits_stored: int = 16
    patient_position: str = "HFS"
    series_uid: str = ROOT + "1"

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        return np.cross(self.orientation[:3], self.orientation[3:])


def build_slices(spec: CtSeriesSpec) -> list[Dataset]:
    """One data set per slice, ascending along the normal."""
    step = spec.normal * spec.spacing_zyx_mm[0]
    return [
        _build_slice(spec, number, tuple(np.add(spec.origin_lps_mm, number * step)))
        for number in range(len(spec.stored))
    ]


def _build_slice(spec: CtSeriesSpec, number: int, position: tuple[float, ...]) -> Dataset:
    stored = spec.stored[number]
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{spec.series_uid}.{number + 1}"
    ds.StudyInstanceUID = ROOT + "9"
    ds.SeriesInstanceUID = spec.series_uid
    ds.FrameOfReferenceUID = ROOT + "8"
    ds.PatientName, ds.PatientID = PATIENT, PATIENT_ID
    ds.Modality = "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber = number + 1
    ds.PatientPosition = spec.patient_position
    ds.ImagePositionPatient = [round(float(v), 6) for v in position]
    ds.ImageOrientationPatient = [round(float(v), 9) for v in spec.orientation]
    ds.PixelSpacing = list(spec.spacing_zyx_mm[1:])
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated = 8 * stored.dtype.itemsize
    ds.BitsStored, ds.HighBit = spec.bits_stored, spec.bits_stored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.RescaleSlope, ds.RescaleIntercept = str(spec.slope), str(spec.intercept)
    ds.RescaleType = "HU"
    ds.PixelData = stored.tobytes()
    return ds


def encode(ds: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The data set as a DICOM file; compressed by pydicom where the syntax is a compressed one."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CTImageStorage)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", ROOT + "7")
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    if syntax not in UNCOMPRESSED:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(syntax, generate_instance_uid=False)
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def to_members(slices: Sequence[Dataset], syntax: UID = ExplicitVRLittleEndian) -> list[Member]:
    """The data sets as an upload's files, in the given order."""
    return [Member(i, encode(ds, syntax)) for i, ds in enumerate(slices, start=1)]


def ct_members(
    spec: CtSeriesSpec | None = None, change: Callable[[list[Dataset]], object] | None = None
) -> list[Member]:
    """A series as an upload's files, after ``change`` was made to its data sets."""
    slices = build_slices(spec or CtSeriesSpec())
    if change is not None:
        change(slices)
    return to_members(slices)
