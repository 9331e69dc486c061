import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from service.sample import generate
from service.sample.anatomy import HipAnatomy
from service.sample.scanner import Acquisition, draw_acquisition
from service.sample.truth import SampleTruth


def test_the_default_series_shows_both_femurs_to_below_the_shaft_sections(
    anatomy: HipAnatomy,
) -> None:
    grid = generate.series_geometry(anatomy, draw_acquisition(0))

    assert 150 <= grid.shape_zyx[0] <= 220
    assert grid.spacing_mm.z <= 1.5
    for femur in anatomy.femurs:
        for point in ((0, 0, -62), np.add(femur.head_centre, (0, 0, femur.head_radius_mm + 20))):
            index = grid.lps_to_index(femur.to_lps(point))
            assert (index > 0).all()
            assert (index < np.array(grid.shape_zyx) - 1).all()


@pytest.fixture
def coarse_scanner(monkeypatch: pytest.MonkeyPatch, quiet: Acquisition) -> None:
    """A 48 x 48 scan with slices of 8 mm, and no integration of volumes."""
    coarse = replace(quiet, pixel_spacing_mm=8.0, slice_spacing_mm=8.0)
    monkeypatch.setattr(generate, "MATRIX", 48)
    monkeypatch.setattr(generate, "draw_acquisition", lambda seed: coarse)
    monkeypatch.setattr(
        generate, "true_measures", lambda anatomy, seed: SampleTruth(seed=seed, femurs=())
    )


@pytest.mark.usefixtures("coarse_scanner")
def test_series_masks_and_truth_lie_where_documented(tmp_path: Path) -> None:
    generate.generate_sample(tmp_path / "hip.zip", seed=0)

    with zipfile.ZipFile(tmp_path / "hip.zip") as archive:
        assert len(archive.namelist()) > 20
    assert sorted(path.name for path in (tmp_path / "hip_truth").iterdir()) == [
        "left_endosteal.nii.gz",
        "left_periosteal.nii.gz",
        "right_endosteal.nii.gz",
        "right_periosteal.nii.gz",
        "truth.json",
    ]
    truth = SampleTruth.model_validate_json((tmp_path / "hip_truth/truth.json").read_bytes())
    assert truth.seed == 0


@pytest.mark.usefixtures("coarse_scanner")
def test_the_left_mask_lies_on_the_patients_left(tmp_path: Path, anatomy: HipAnatomy) -> None:
    generate.generate_sample(tmp_path / "hip.zip", seed=0)

    image = nib.nifti1.Nifti1Image.from_filename(tmp_path / "hip_truth" / "left_periosteal.nii.gz")
    voxels = np.argwhere(np.asarray(image.dataobj) > 0)
    ras = nib.affines.apply_affine(image.affine, voxels).mean(axis=0)

    # RAS: the patient's left is -x. The femur's middle lies lateral of the head.
    assert image.affine[0, 0] == -8.0
    assert ras[0] < -anatomy.pelvis.origin_lps_mm[0] - 60
