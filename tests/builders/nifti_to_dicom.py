"""A CT in NIfTI, HU in RAS, as a zip of DICOM CT slices."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from service.domain.geometry import LPS_TO_RAS

INTERCEPT_HU = -1024


def nifti_to_dicom(nifti: Path, out_zip: Path) -> None:
    """Write a series whose rows, columns and slices are the NIfTI's i, j and k.

    Args:
        nifti: HU, 3-D, with an unsheared affine.
        out_zip: written anew; the same input gives the same UIDs.
    """
    image = nib.load(nifti)
    affine = LPS_TO_RAS @ image.affine
    hu = np.asarray(image.dataobj, dtype=np.float32)
    with zipfile.ZipFile(out_zip, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(hu.shape[2]):
            content = io.BytesIO()
            _slice(hu[:, :, k].T, affine, k, nifti.name).save_as(content, enforce_file_format=True)
            archive.writestr(f"{k + 1:04d}.dcm", content.getvalue())


def _slice(
    hu: npt.NDArray[np.float32], affine: npt.NDArray[np.float64], k: int, entropy: str
) -> FileDataset:
    """One slice ``[row, column]``."""
    uid = generate_uid(entropy_srcs=[entropy, f"slice {k}"])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, uid
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[entropy, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[entropy, "series"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[entropy, "frame"])
    dataset.Modality, dataset.PatientPosition = "CT", "HFS"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Test^Nifti", "TEST"
    dataset.InstanceNumber = k + 1
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = (affine[:3, :2] / spacing[:2]).T.ravel()
    dataset.ImageOrientationPatient = [f"{v:.8f}" for v in cosines]
    dataset.ImagePositionPatient = [f"{v:.5f}" for v in affine[:3, 3] + k * affine[:3, 2]]
    # Pixel Spacing is row spacing first: the distance along j, then along i.
    dataset.PixelSpacing = [f"{spacing[1]:.6f}", f"{spacing[0]:.6f}"]
    dataset.SliceThickness = f"{spacing[2]:.6f}"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = INTERCEPT_HU, 1, "HU"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    stored = np.clip(np.rint(hu) - INTERCEPT_HU, 0, 65535).astype("<u2")
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    return dataset
