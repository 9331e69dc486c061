"""One analysis becomes one folder of files on the CT's grid; only DICOM ones name a patient."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from service.artifacts.results import MaskRuns, write_results
from service.artifacts.rle import decode
from service.domain.findings import AnalysisReport, FemurSide
from service.domain.geometry import VolumeGeometry
from tests.builders.analyses import analysis, axial_geometry
from tests.builders.ct_series import PATIENT
from tests.builders.source_grids import feet_first_coronal


def test_the_names_returned_are_the_files_written(tmp_path: Path) -> None:
    names = write_results(analysis(axial_geometry(), *FemurSide), tmp_path)

    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert set(names) == {
        "report.json",
        "masks_rle.json",
        "segmentation.dcm",
        "measurements.dcm",
        "left.glb",
        "right.glb",
    } | {
        f"{side}_{name}"
        for side in ("left", "right")
        for name in (
            "periosteal.nii.gz",
            "endosteal.nii.gz",
            "regions.nii.gz",
            "report.pdf",
            "report.png",
            "periosteal.stl",
            "endosteal.stl",
        )
    }


def test_the_report_is_the_published_schema_and_reads_back(tmp_path: Path) -> None:
    value = analysis(axial_geometry())
    write_results(value, tmp_path)

    text = (tmp_path / "report.json").read_text()
    assert json.loads(text)["schema"] == "femurct.report/1"
    assert text.startswith('{\n  "schema"')
    assert AnalysisReport.model_validate_json(text) == value.report


@pytest.mark.parametrize(
    "source", [axial_geometry(), feet_first_coronal()], ids=["axial", "coronal"]
)
def test_masks_lie_on_the_source_grid(source: VolumeGeometry, tmp_path: Path) -> None:
    value = analysis(source)
    write_results(value, tmp_path)

    (femur,) = value.femurs
    image = nib.load(tmp_path / "left_periosteal.nii.gz")
    voxels = np.asarray(image.dataobj)
    assert voxels.shape == source.shape_zyx[::-1]
    np.testing.assert_allclose(image.affine, source.affine_ras)
    # The centre of mass in RAS mm is the crop's own, its x and y negated.
    in_file = nib.affines.apply_affine(image.affine, np.argwhere(voxels).mean(axis=0))
    in_crop = femur.masks.geometry.index_to_lps(np.argwhere(femur.masks.periosteal).mean(axis=0))
    np.testing.assert_allclose(in_file, in_crop * (-1, -1, 1), atol=1e-4)
    assert voxels.sum() == femur.masks.periosteal.sum()


def test_run_lengths_equal_the_nifti_files(tmp_path: Path) -> None:
    write_results(analysis(feet_first_coronal()), tmp_path)

    runs = MaskRuns.model_validate_json((tmp_path / "masks_rle.json").read_text()).root
    regions = np.asarray(nib.load(tmp_path / "left_regions.nii.gz").dataobj).transpose(2, 1, 0)
    endosteal = np.asarray(nib.load(tmp_path / "left_endosteal.nii.gz").dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(decode(runs["left_endosteal"]), endosteal == 1)
    for value, name in enumerate(("head", "neck", "trochanter", "intertrochanter"), start=1):
        np.testing.assert_array_equal(decode(runs[f"left_{name}"]), regions == value)
        assert (regions == value).any()


def test_no_file_carries_text_beyond_the_published(tmp_path: Path) -> None:
    """NIfTI and PNG can hold free text; ours hold none."""
    write_results(analysis(axial_geometry()), tmp_path)

    header = nib.load(tmp_path / "left_regions.nii.gz").header
    assert header["descrip"].item() == b""
    assert header["db_name"].item() == b""
    assert header["aux_file"].item() == b""
    png = (tmp_path / "left_report.png").read_bytes()
    assert not any(chunk in png for chunk in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"))


def test_only_the_dicom_files_name_the_patient(tmp_path: Path) -> None:
    names = write_results(analysis(axial_geometry()), tmp_path)

    naming = {name for name in names if PATIENT.encode() in (tmp_path / name).read_bytes()}
    assert naming == {"segmentation.dcm", "measurements.dcm"}
