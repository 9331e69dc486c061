"""Every real series of the reference data reads to a volume or is refused for the right reason."""

import io
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from service.adapters.upload_archive import ArchiveLimits, read_members
from service.domain.imaging import CtSeries, CtVolume, Member
from service.errors import InputError
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.reference_data import DATA, needs_reference_data

GOOD_SERIES = sorted(DATA.glob("ct_series/*/*.zip"))
ANNOTATED = sorted(DATA.glob("annotations/STS_*"))

REFUSALS = {
    # 40 of the 133 slices of a chest at 1 to 22 mm; each file has its own frame of reference
    "chest_no_femur": "uneven_spacing",
    # four measurements of one slice (bolus tracking)
    "dicom2nifti_notavolume_001": "duplicate_position",
    # two MR slices, beside two NIfTI files
    "dicom2nifti_slicecount": "no_ct_series",
    "dicom2nifti_slicecount_001": "no_ct_series",
    # the two series of the next two files together
    "dicom2nifti_sliceincrement": "uneven_spacing",
    # gaps 5, 5, 10 mm
    "dicom2nifti_sliceincrement_001": "uneven_spacing",
    # gaps 0.75, 0.75, 1.5 mm, tilted besides
    "dicom2nifti_sliceincrement_002": "uneven_spacing",
    # four MR slices in two orientations
    "dicom2nifti_sliceorientation_001": "no_ct_series",
    # one or two slices each of three patients' CT series, and a perfusion map as enhanced CT
    "enhanced_ct_malformed": "several_patients",
    # 14 slices 4 mm apart, then 14 slices 7 mm apart, tilted besides
    "ge_gantry_tilt_variable_spacing": "uneven_spacing",
    # one slice in nine lossless transfer syntaxes under one UID, and derived lossy copies
    "transfer_syntaxes": "duplicate_instance",
}

TILTED = "dicom2nifti_gantrytilting_001"
"""Rows tilted by 14 degrees, four slices stacked along the table: the only volume among them."""

pytestmark = needs_reference_data


def _series(archive: Path) -> CtSeries:
    return read_series(read_members(archive, ArchiveLimits()))


def _volume(archive: Path) -> CtVolume:
    return read_volume(_series(archive))


@pytest.mark.parametrize("archive", GOOD_SERIES, ids=lambda path: path.stem)
def test_a_real_series_reads_to_a_volume_in_hu(archive: Path) -> None:
    volume = _volume(archive)
    assert volume.hu.dtype == np.int16
    assert volume.geometry.spacing_mm == pytest.approx((3.27, 0.9766, 0.9766), abs=1e-4)
    # rows to the left, columns to posterior, slices to superior
    assert (np.diag(volume.geometry.affine_lps) > 0).all()
    # air and muscle
    assert np.percentile(volume.hu, 0.5) < -900
    assert ((volume.hu > 0) & (volume.hu < 100)).mean() > 0.1


def test_a_real_gantry_tilt_is_carried_as_a_shear() -> None:
    series = _series(DATA / f"odd_series/{TILTED}.zip")
    assert series.verdict is not None
    assert series.verdict.gantry_tilt_deg == pytest.approx(14.0, abs=0.01)
    slices, rows = series.geometry.affine_lps[:3, 2], series.geometry.affine_lps[:3, 1]
    # stacked along the table by 5 mm; rows lean by 14 degrees
    assert np.abs(slices) == pytest.approx((0.0, 0.0, 5.0), abs=1e-6)
    cosine = abs(slices @ rows) / np.linalg.norm(slices) / np.linalg.norm(rows)
    assert np.degrees(np.arcsin(cosine)) == pytest.approx(14.0, abs=0.01)


@pytest.mark.parametrize(
    "archive",
    [path for path in sorted(DATA.glob("odd_series/*.zip")) if path.stem != TILTED],
    ids=lambda path: path.stem,
)
def test_an_odd_series_is_refused_for_the_right_reason(archive: Path) -> None:
    with pytest.raises(InputError) as caught:
        _volume(archive)
    assert caught.value.code == REFUSALS[archive.stem]


@pytest.mark.parametrize("folder", ANNOTATED, ids=lambda path: path.name)
def test_an_annotation_lies_on_the_grid_that_is_read(folder: Path) -> None:
    (archive,) = DATA.glob(f"ct_series/*/{folder.name}.zip")
    geometry = _series(archive).geometry
    mask = nib.load(folder / "periosteal.nii.gz")
    assert mask.shape == geometry.shape_zyx[::-1]
    assert np.allclose(mask.affine, geometry.affine_ras, atol=1e-3)


def _three_slices(content: bytes) -> list[Member]:
    """The one slice at three places, its pixel data left as they are encoded."""
    members = []
    for number in range(3):
        ds = pydicom.dcmread(io.BytesIO(content))
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        ds.ImagePositionPatient = [0, 0, 5 * number]
        stream = io.BytesIO()
        ds.save_as(stream)
        members.append(Member(number + 1, stream.getvalue()))
    return members


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_one_real_slice_is_the_same_in_every_lossless_transfer_syntax() -> None:
    slices = {}
    with zipfile.ZipFile(DATA / "odd_series/transfer_syntaxes.zip") as archive:
        for entry in archive.infolist():
            content = archive.read(entry)
            ds = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
            if ds.SOPInstanceUID.endswith(".978668950.109"):
                hu = read_volume(read_series(_three_slices(content))).hu
                slices[ds.file_meta.TransferSyntaxUID] = hu
    assert len(slices) == 9
    first, *others = slices.values()
    assert all(np.array_equal(first, other) for other in others)
