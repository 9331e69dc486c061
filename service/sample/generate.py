"""A sample on disk: the zipped DICOM series, and its truth in a folder beside it."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.sample.anatomy import HipAnatomy, draw_anatomy
from service.sample.dicom_series import write_series
from service.sample.scanner import Acquisition, BoolArray, RenderedCt, draw_acquisition, render
from service.sample.truth import true_measures

MATRIX = 512
"""Rows and columns of a slice."""


def generate_sample(
    out_zip: Path, seed: int = 0, *, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write OUT.zip and, beside it, OUT_truth/ with truth.json and four masks as NIfTI.

    Args:
        out_zip: path of the zip; its folder must exist.
        seed: integer >= 0 that everything is drawn from.
        progress: called with (slices scanned, slices).
    """
    anatomy = draw_anatomy(seed)
    acquisition = draw_acquisition(seed)
    geometry = series_geometry(anatomy, acquisition)
    rng = np.random.default_rng([seed, 3])
    rendered = render(anatomy, geometry, acquisition, rng, progress)
    write_series(rendered, acquisition, out_zip)
    folder = out_zip.with_name(out_zip.stem + "_truth")
    folder.mkdir(exist_ok=True)
    _write_masks(rendered, folder)
    truth = true_measures(anatomy, seed)
    text = truth.model_dump_json(indent=2, by_alias=True)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


def series_geometry(anatomy: HipAnatomy, acquisition: Acquisition) -> VolumeGeometry:
    """Lay the grid of a whole series: 512 x 512 around the body, as long as the protocol says."""
    heads = [femur.head_centre_lps_mm[2] + femur.head_radius_mm for femur in anatomy.femurs]
    lesser = [float(femur.to_lps((0.0, 0.0, 0.0))[2]) for femur in anatomy.femurs]
    top = max(heads) + acquisition.above_head_mm
    bottom = min(lesser) - acquisition.below_lesser_mm
    count = int(np.ceil((top - bottom) / acquisition.slice_spacing_mm)) + 1
    pixel = acquisition.pixel_spacing_mm
    half = pixel * (MATRIX - 1) / 2
    x, y, _ = anatomy.pelvis.origin_lps_mm
    return VolumeGeometry.axis_aligned(
        (count, MATRIX, MATRIX),
        SpacingMm(acquisition.slice_spacing_mm, pixel, pixel),
        (round(x - half, 3), round(y + 10 - half, 3), round(bottom, 3)),
    )


def _write_masks(rendered: RenderedCt, folder: Path) -> None:
    for femur in (rendered.left, rendered.right):
        for surface, mask in (("periosteal", femur.periosteal), ("endosteal", femur.endosteal)):
            _write_mask(mask, rendered.geometry, folder / f"{femur.side}_{surface}.nii.gz")


def _write_mask(mask: BoolArray, geometry: VolumeGeometry, path: Path) -> None:
    # NIfTI's axes i, j, k are column, row, slice; its world is RAS.
    image = nib.Nifti1Image(mask.astype(np.uint8).transpose(2, 1, 0), geometry.affine_ras)
    image.set_sform(geometry.affine_ras, code="scanner")
    image.set_qform(geometry.affine_ras, code="scanner")
    nib.save(image, path)
