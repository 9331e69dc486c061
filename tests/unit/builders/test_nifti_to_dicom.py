"""A NIfTI becomes a DICOM series on the same grid with the same HU."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from service.adapters.upload_archive import ArchiveLimits, read_members
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.nifti_to_dicom import nifti_to_dicom

AFFINES = {
    "L-P-S voxels": np.diag([-0.8, -0.9, 3.0, 1.0]),
    "R-A-S voxels": np.diag([0.8, 0.9, 3.0, 1.0]),
}


@pytest.mark.parametrize("name", AFFINES)
def test_reading_the_series_gives_the_niftis_voxels_at_their_places(
    name: str, tmp_path: Path
) -> None:
    hu = np.random.default_rng(0).integers(-1000, 2000, (6, 5, 4)).astype(np.int16)
    affine = AFFINES[name].copy()
    affine[:3, 3] = (10, -20, 30)
    nib.save(nib.Nifti1Image(hu, affine), tmp_path / "ct.nii.gz")

    nifti_to_dicom(tmp_path / "ct.nii.gz", tmp_path / "ct.zip")

    members = read_members(tmp_path / "ct.zip", ArchiveLimits())
    volume = read_volume(read_series(members))
    np.testing.assert_array_equal(volume.hu, hu.transpose(2, 1, 0))
    np.testing.assert_allclose(volume.geometry.affine_ras, affine, atol=1e-4)
