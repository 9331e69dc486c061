"""Label volumes as NIfTI-1 on the CT's grid (nifti1.h, "3D image (volume) orientation")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from service.artifacts.source_grid import ByteArray
from service.domain.geometry import VolumeGeometry
from service.errors import GeometryError

NIFTI_XFORM_SCANNER_ANAT = 1
"""sform or qform leads to scanner coordinates."""

NIFTI_XFORM_UNKNOWN = 0
"""The qform is not to be used."""

QFORM_TOLERANCE_MM = 1e-3
"""A qform whose matrix differs by more is left out: a gantry tilt's shear has no quaternion."""


def write_nifti(labels: ByteArray, geometry: VolumeGeometry, path: Path) -> None:
    """Write labels as ``.nii.gz``: axes i, j, k = column, row, slice; sform = the RAS affine.

    Equal labels give equal bytes: the gzip header holds no time.

    Args:
        labels: uint8 ``[z, y, x]``; may be all 0.
        geometry: of ``labels``.
        path: ends in ``.nii.gz``; written anew.

    Raises:
        GeometryError: if the shapes differ.
    """
    if labels.shape != geometry.shape_zyx:
        raise GeometryError(f"labels of shape {labels.shape} on a grid of {geometry.shape_zyx}")
    affine = geometry.affine_ras
    # A C-contiguous [z, y, x] array transposed is NIfTI's own voxel order: written without a copy.
    image: Any = nib.Nifti1Image(labels.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, NIFTI_XFORM_SCANNER_ANAT)
    image.set_qform(affine, NIFTI_XFORM_SCANNER_ANAT)
    if not np.allclose(image.get_qform(), affine, rtol=0, atol=QFORM_TOLERANCE_MM):
        image.set_qform(None, NIFTI_XFORM_UNKNOWN)
    nib.save(image, path)
