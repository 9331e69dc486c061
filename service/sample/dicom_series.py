"""A rendered CT as a DICOM series in a zip: uncompressed CT Image Storage (PS3.3 A.3)."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from service.sample.scanner import Acquisition, RenderedCt

RESCALE_INTERCEPT_HU = -1024
"""HU of the stored value 0; with slope 1, twelve unsigned bits hold -1024 to 3071 HU."""

SERIES_DESCRIPTION = "SYNTHETIC hip QCT, femurct sample"
"""Says to whoever opens it that no patient was scanned."""


@dataclass(frozen=True)
class SeriesIdentity:
    """UIDs of a sample series, derived from its seed: the same seed gives the same UIDs."""

    seed: int

    def uid(self, role: str) -> str:
        """Return the UID of one object, under the root 2.25 (PS3.5 B.2: a UUID as an integer)."""
        digest = hashlib.sha256(f"femurct-sample/{self.seed}/{role}".encode()).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_series(
    rendered: RenderedCt,
    acquisition: Acquisition,
    out_zip: Path,
) -> None:
    """Write one file per slice, the most superior first, as a scanner does.

    Args:
        rendered: a CT on a grid without shear.
        acquisition: gives KVP and the seed of the UIDs.
        out_zip: path of the zip; an existing one is replaced.
    """
    identity = SeriesIdentity(acquisition.seed)
    count = rendered.geometry.shape_zyx[0]
    with zipfile.ZipFile(out_zip, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, index in enumerate(reversed(range(count)), start=1):
            dataset = _slice_dataset(rendered, acquisition, identity, index)
            dataset.InstanceNumber = number
            content = io.BytesIO()
            dataset.save_as(content, enforce_file_format=True)
            # ZipInfo's fixed date keeps the archive the same on every run.
            entry = zipfile.ZipInfo(f"SAMPLE/CT{number:04d}.dcm")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue(), compresslevel=1)


def _slice_dataset(
    rendered: RenderedCt, acquisition: Acquisition, identity: SeriesIdentity, index: int
) -> FileDataset:
    sop_instance_uid = UID(identity.uid(f"slice/{index}"))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = sop_instance_uid
    _describe_patient_and_series(dataset, acquisition, identity)
    _place(dataset, rendered, index)
    _store_pixels(dataset, rendered, index)
    return dataset


def _describe_patient_and_series(
    dataset: Dataset, acquisition: Acquisition, identity: SeriesIdentity
) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = "120000"
    dataset.AccessionNumber = ""
    dataset.Modality = "CT"
    dataset.Manufacturer = "femurct"
    dataset.ManufacturerModelName = "closed-form sample"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = dataset.SeriesDescription = SERIES_DESCRIPTION
    dataset.PatientName = "Sample^Phantom"
    dataset.PatientID = f"SAMPLE-{acquisition.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientPosition = "HFS"
    dataset.BodyPartExamined = "HIP"
    dataset.KVP = acquisition.kvp
    dataset.ConvolutionKernel = "STANDARD"
    dataset.StudyInstanceUID = identity.uid("study")
    dataset.SeriesInstanceUID = identity.uid("series")
    dataset.FrameOfReferenceUID = identity.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = 2
    dataset.AcquisitionNumber = 1


def _place(dataset: Dataset, rendered: RenderedCt, index: int) -> None:
    geometry = rendered.geometry
    spacing = geometry.spacing_mm
    x, y, z = (float(v) for v in geometry.index_to_lps((index, 0, 0)))
    columns = geometry.affine_lps[:3, 0] / spacing.x
    rows = geometry.affine_lps[:3, 1] / spacing.y
    dataset.ImagePositionPatient = [f"{v:.6f}" for v in (x, y, z)]
    dataset.ImageOrientationPatient = [f"{v:.6f}" for v in (*columns, *rows)]
    dataset.SliceLocation = f"{z:.6f}"
    dataset.PixelSpacing = [f"{spacing.y:.6f}", f"{spacing.x:.6f}"]
    dataset.SliceThickness = f"{spacing.z:.6f}"
    dataset.SpacingBetweenSlices = f"{spacing.z:.6f}"


def _store_pixels(dataset: Dataset, rendered: RenderedCt, index: int) -> None:
    _, rows, columns = rendered.geometry.shape_zyx
    stored = np.clip(rendered.hu[index] - np.int16(RESCALE_INTERCEPT_HU), 0, 4095)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = rows
    dataset.Columns = columns
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = RESCALE_INTERCEPT_HU
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter = 200
    dataset.WindowWidth = 1200
    dataset.PixelData = stored.astype("<u2").tobytes()
