"""NIfTI files carry the CT's grid: axes column, row, slice and the RAS affine."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from service.artifacts.nifti import write_nifti
from service.domain.geometry import VolumeGeometry
from service.errors import GeometryError

SHAPE = (3, 4, 5)


def oblique(shear: float = 0.0) -> VolumeGeometry:
    """0.8 mm pixels turned 30 degrees about z, slices 2 mm apart, shifted by ``shear`` mm."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    affine = np.eye(4)
    affine[:3, 0] = 0.8 * np.array([c, s, 0])
    affine[:3, 1] = 0.8 * np.array([-s, c, 0])
    affine[:3, 2] = (0, shear, 2.0)
    affine[:3, 3] = (10.0, 20.0, -30.0)
    return VolumeGeometry(SHAPE, affine)


def test_axes_are_column_row_slice_and_values_survive(tmp_path: Path) -> None:
    labels = np.arange(60, dtype=np.uint8).reshape(SHAPE)

    write_nifti(labels, oblique(), tmp_path / "labels.nii.gz")

    image = nib.load(tmp_path / "labels.nii.gz")
    assert image.shape == (5, 4, 3)
    assert image.get_data_dtype() == np.uint8
    assert np.asarray(image.dataobj)[4, 3, 2] == labels[2, 3, 4] == 59
    np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), labels)


def test_sform_and_qform_are_the_ras_affine_in_scanner_coordinates_and_mm(tmp_path: Path) -> None:
    write_nifti(np.zeros(SHAPE, dtype=np.uint8), oblique(), tmp_path / "labels.nii.gz")

    image = nib.load(tmp_path / "labels.nii.gz")
    sform, code = image.get_sform(coded=True)
    assert int(code) == 1
    # x and y change sign from LPS to RAS: the first voxel lies at (-10, -20, -30).
    np.testing.assert_allclose(sform[:3, 3], (-10, -20, -30))
    np.testing.assert_allclose(sform, oblique().affine_ras, atol=1e-6)
    qform, code = image.get_qform(coded=True)
    assert int(code) == 1
    np.testing.assert_allclose(qform, sform, atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_sheared_grid_has_an_sform_and_no_qform(tmp_path: Path) -> None:
    write_nifti(np.zeros(SHAPE, dtype=np.uint8), oblique(0.5), tmp_path / "labels.nii.gz")

    image = nib.load(tmp_path / "labels.nii.gz")
    assert int(image.get_qform(coded=True)[1]) == 0
    assert int(image.get_sform(coded=True)[1]) == 1
    np.testing.assert_allclose(image.affine, oblique(0.5).affine_ras, atol=1e-6)


def test_equal_labels_give_equal_bytes(tmp_path: Path) -> None:
    labels = np.ones(SHAPE, dtype=np.uint8)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(labels, oblique(), tmp_path / name)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.nii.gz", "b.nii.gz"))
    # The gzip header may hold the file's own name, never the time.
    assert a.replace(b"a.nii", b"b.nii") == b


def test_labels_of_another_shape_than_the_grid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="grid"):
        write_nifti(np.zeros((1, 1, 1), dtype=np.uint8), oblique(), tmp_path / "labels.nii.gz")
