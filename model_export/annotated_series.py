"""Annotated real series (``FEMURCT_DATA``: ``ct_series`` and ``annotations``) as source cases."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
from scipy import ndimage

from model_export.cases import CaseError, FloatArray, Kind, SourceCase
from service.domain.geometry import SpacingMm

VALIDATION_SERIES = ("STS_020",)
"""Never trained on (README-3 of the annotations)."""

MARGIN_MM = 40.0
"""Kept around the femur in view: a patch about its surface and the hip bone fit."""


def annotated_series(data: Path) -> Iterator[SourceCase]:
    """Every annotated series, cropped to its femur and ``MARGIN_MM`` around it, in order of name.

    Args:
        data: the reference data folder.

    Raises:
        CaseError: where a series is missing, or its masks lie on another grid than its CT.
    """
    for folder in sorted((data / "annotations").glob("STS_*")):
        yield _source_case(data, folder)


def _source_case(data: Path, folder: Path) -> SourceCase:
    archives = list((data / "ct_series").glob(f"*/{folder.name}.zip"))
    if len(archives) != 1:
        raise CaseError(f"case {folder.name}: found {len(archives)} series of that name, need one")
    kind: Kind = "shaft" if archives[0].parent.name == "shaft_or_distal_only" else "proximal"
    hu, spacing_mm, origin_lps_mm = _read_axial_ct(archives[0])
    periosteal, endosteal, trust = (
        _read_label(folder / f"{name}.nii.gz", hu.shape, spacing_mm, origin_lps_mm)
        for name in ("periosteal", "endosteal", "trust")
    )
    if not periosteal.any():
        raise CaseError(f"case {folder.name}: the periosteal mask is empty")
    box = _femur_box(periosteal > 0, spacing_mm)
    side = str(json.loads((folder / "notes.json").read_text())["side"])
    return SourceCase(
        name=folder.name,
        kind=kind,
        right=side.upper().startswith("R"),
        spacing_mm=spacing_mm,
        hu=hu[box],
        periosteal=periosteal[box] > 0,
        endosteal=endosteal[box] > 0,
        trust=trust[box],
    )


def _read_axial_ct(archive: Path) -> tuple[FloatArray, SpacingMm, npt.NDArray[np.float64]]:
    """HU float32 ``[z, y, x]``, spacing and first voxel's LPS mm of an untilted axial series."""
    with zipfile.ZipFile(archive) as members:
        slices = [
            pydicom.dcmread(io.BytesIO(members.read(name)))
            for name in members.namelist()
            if not name.endswith("/")
        ]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    if any(not np.allclose(ds.ImageOrientationPatient, (1, 0, 0, 0, 1, 0)) for ds in slices):
        raise CaseError(f"case {archive.stem}: slices are not axial with rows to the left")
    first, last = slices[0], slices[-1]
    dz = (last.ImagePositionPatient[2] - first.ImagePositionPatient[2]) / (len(slices) - 1)
    dy, dx = (float(v) for v in first.PixelSpacing)
    hu = [
        ds.pixel_array * np.float32(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices
    ]
    origin = np.array(first.ImagePositionPatient, dtype=np.float64)
    return np.stack(hu).astype(np.float32), SpacingMm(float(dz), dy, dx), origin


def _read_label(
    path: Path,
    shape_zyx: tuple[int, ...],
    spacing_mm: SpacingMm,
    origin_lps_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """A NIfTI label map as uint8 ``[z, y, x]``, on the CT's grid to 0.1 mm, or a CaseError."""
    image: nib.Nifti1Image = nib.Nifti1Image.from_filename(path)
    labels = np.asarray(image.dataobj, dtype=np.uint8).transpose(2, 1, 0)
    expected = np.diag([-spacing_mm.x, -spacing_mm.y, spacing_mm.z, 1.0])
    expected[:3, 3] = origin_lps_mm * (-1, -1, 1)
    if labels.shape != shape_zyx or not np.allclose(image.affine, expected, atol=0.1):
        raise CaseError(f"case {path.parent.name}: {path.name} lies on another grid than the CT")
    return labels


def _femur_box(mask: npt.NDArray[np.bool_], spacing_mm: SpacingMm) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.int8))[0]
    return tuple(
        slice(max(0, int(s.start - MARGIN_MM / mm)), min(n, int(s.stop + MARGIN_MM / mm) + 1))
        for s, mm, n in zip(found, spacing_mm, mask.shape, strict=True)
    )
