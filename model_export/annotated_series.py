"""Annotated real series (``FEMURCT_DATA``: ``ct_series`` and ``annotations``) as source cases."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model_export.cases import TRUST_NONE, CaseError, Kind, SourceCase
from service.domain.geometry import AxisOrder, SpacingMm, VolumeGeometry
from service.domain.imaging import CtVolume, Member
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume

VALIDATION_SERIES = ("STS_020",)
"""Never trained on (README-3 of the annotations)."""

MARGIN_MM = 40.0
"""Kept around the femur in view: a patch about its surface and the hip bone fit."""

UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError)
"""What reading a zip raises; RuntimeError for one that is encrypted or compressed otherwise."""

THIN_CORTEX_VOXELS_ZYX = (1, 3, 3)
"""A periosteal surface voxel this near to the endosteal mask covers a thin cortex (under 2 mm)."""


def annotated_series(data: Path, *, trust_thin_cortex: bool = False) -> Iterator[SourceCase]:
    """Every annotated series, cropped to its femur and ``MARGIN_MM`` around it, in order of name.

    Args:
        data: the reference data folder.
        trust_thin_cortex: keep the annotators' trust in the surface over a thin cortex, to score
            with; training leaves it out.

    Raises:
        CaseError: where there is none, one is missing, or masks lie on another grid than their CT.
    """
    folders = sorted((data / "annotations").glob("STS_*"))
    if not folders:
        raise CaseError(
            f"no annotated series in {data.absolute()}; set FEMURCT_DATA to the reference data, or "
            "let `prepare` go without them (--no-annotated)"
        )
    for folder in folders:
        yield _source_case(data, folder, trust_thin_cortex)


def _source_case(data: Path, folder: Path, trust_thin_cortex: bool) -> SourceCase:
    archives = list((data / "ct_series").glob(f"*/{folder.name}.zip"))
    if len(archives) != 1:
        raise CaseError(f"case {folder.name}: found {len(archives)} series of that name, need one")
    kind: Kind = "shaft" if archives[0].parent.name == "shaft_or_distal_only" else "proximal"
    volume = read_archive(archives[0])
    order = AxisOrder.closest_to_spl(volume.geometry)
    periosteal, endosteal, trust = (
        order.apply(_read_label(folder / f"{name}.nii.gz", volume.geometry))
        for name in ("periosteal", "endosteal", "trust")
    )
    if not periosteal.any():
        raise CaseError(f"case {folder.name}: the periosteal mask is empty")
    spacing_mm = order.apply_geometry(volume.geometry).spacing_mm
    box = femur_box(periosteal > 0, spacing_mm)
    if not trust_thin_cortex:
        trust = np.where(_thin_cortex_surface(periosteal > 0, endosteal > 0), TRUST_NONE, trust)
    side = str(json.loads((folder / "notes.json").read_text())["side"])
    return SourceCase(
        name=folder.name,
        kind=kind,
        right=side.upper().startswith("R"),
        spacing_mm=spacing_mm,
        hu=order.apply(volume.hu.astype(np.float32))[box],
        periosteal=periosteal[box] > 0,
        endosteal=endosteal[box] > 0,
        trust=trust[box],
    )


def read_archive(archive: Path) -> CtVolume:
    """The CT in a zip of DICOM files, read as the service reads it.

    Raises:
        CaseError: if there is no such file, or it is no zip, torn or encrypted.
        SeriesError: see ``read_series`` and ``read_volume``.
    """
    try:
        with zipfile.ZipFile(archive) as files:
            names = [name for name in files.namelist() if not name.endswith("/")]
            members = [Member(i, files.read(name)) for i, name in enumerate(names, start=1)]
    except UNREADABLE_ZIP as error:
        raise CaseError(f"unreadable zip {archive.name} ({error})") from error
    return read_volume(read_series(members))


def _read_label(path: Path, geometry: VolumeGeometry) -> npt.NDArray[np.uint8]:
    """A NIfTI label map as uint8 ``[z, y, x]``, on the CT's grid to 0.1 mm, or a CaseError."""
    image: nib.Nifti1Image = nib.Nifti1Image.from_filename(path)
    labels = np.asarray(image.dataobj, dtype=np.uint8).transpose(2, 1, 0)
    same_place = np.allclose(image.affine, geometry.affine_ras, atol=0.1)
    if labels.shape != geometry.shape_zyx or not same_place:
        raise CaseError(f"case {path.parent.name}: {path.name} lies on another grid than the CT")
    return labels


def _thin_cortex_surface(
    periosteal: npt.NDArray[np.bool_], endosteal: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Voxels either side of the periosteal surface where the cortex is thin.

    The annotations put that surface half-way up the HU edge, which lies 0.2 to 0.4 mm outside a
    cortex of 2 to 1 mm (their README-1, "Error"). Phantoms teach where it truly lies; the real
    series teach which bone it is.
    """
    inner = ndimage.binary_erosion(periosteal, border_value=1)
    surface = ndimage.binary_dilation(periosteal) & ~inner
    reach = np.ones([2 * n + 1 for n in THIN_CORTEX_VOXELS_ZYX], dtype=np.bool_)
    return np.asarray(surface & ndimage.binary_dilation(endosteal, reach), dtype=np.bool_)


def femur_box(mask: npt.NDArray[np.bool_], spacing_mm: SpacingMm) -> tuple[slice, ...]:
    """The box of a mask that is not empty and ``MARGIN_MM`` around it, within the array."""
    found = ndimage.find_objects(mask.astype(np.int8))[0]
    return tuple(
        slice(max(0, int(s.start - MARGIN_MM / mm)), min(n, int(s.stop + MARGIN_MM / mm) + 1))
        for s, mm, n in zip(found, spacing_mm, mask.shape, strict=True)
    )
