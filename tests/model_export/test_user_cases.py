import gzip
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from model_export.cases import CaseError, to_training_case
from model_export.user_cases import sources_in, user_case
from service.artifacts.nifti import write_nifti
from service.domain.geometry import SpacingMm, VolumeGeometry
from tests.builders.ct_series import CtSeriesSpec, ct_members

SHAPE = (30, 20, 24)
GRID = VolumeGeometry.axis_aligned(SHAPE, SpacingMm(2.0, 0.8, 0.8), (-10.0, -20.0, 30.0))


def _arrays() -> dict[str, npt.NDArray[np.generic]]:
    """A tube that is thicker above slice 20 and lies nearer to the patient's right."""
    outer, inner = np.zeros((2, *SHAPE), dtype=np.uint8)
    outer[:, 6:14, 4:12] = 1
    outer[20:, 5:15, 3:13] = 1
    inner[:, 8:12, 6:10] = 1
    hu = np.where(outer > 0, 1000, -100).astype(np.int16)
    return {"ct": hu, "periosteal": outer, "endosteal": inner}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = tmp_path / "cases" / "anna_left"
    case.mkdir(parents=True)
    for name, array in _arrays().items():
        write_nifti(array, GRID, case / f"{name}.nii.gz")
    return case


def _rewrite(folder: Path, name: str, change: Callable[[npt.NDArray[np.generic]], object]) -> None:
    array = _arrays()[name]
    change(array)
    write_nifti(array, GRID, folder / f"{name}.nii.gz")


def test_a_case_of_nifti_files_keeps_its_voxels(folder: Path):
    source = user_case(folder)
    assert (source.name, source.right, source.kind) == ("anna_left", False, "proximal")
    assert source.spacing_mm == pytest.approx((2.0, 0.8, 0.8))
    # the whole grid lies within 40 mm of the femur
    for found, name in ((source.hu, "ct"), (source.periosteal, "periosteal")):
        assert np.array_equal(found, _arrays()[name])
    assert (source.trust == 2).all()
    assert to_training_case(source).hu.shape == (59, 20, 24)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "LAI", "SPL", "AIR"])
def test_axes_may_run_anywhere(folder: Path, axes: str):
    expected = user_case(folder)
    target = nib.orientations.axcodes2ornt(tuple(axes))
    for name in ("ct", "endosteal"):  # the periosteal mask keeps its own order
        image = nib.load(folder / f"{name}.nii.gz")
        turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), target)
        nib.save(image.as_reoriented(turn), folder / f"{name}.nii.gz")
    found = user_case(folder)
    assert np.array_equal(found.hu, expected.hu)
    assert np.array_equal(found.endosteal, expected.endosteal)


@pytest.mark.parametrize("as_zip", [True, False])
def test_the_ct_may_be_dicom(folder: Path, as_zip: bool):
    expected = user_case(folder)
    spec = CtSeriesSpec(
        stored=_arrays()["ct"],
        spacing_zyx_mm=tuple(GRID.spacing_mm),
        origin_lps_mm=(-10.0, -20.0, 30.0),
    )
    (folder / "ct.nii.gz").unlink()
    members = {f"{m.position}.dcm": m.content for m in ct_members(spec)}
    if as_zip:
        with zipfile.ZipFile(folder / "ct.zip", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        (folder / "ct" / "series").mkdir(parents=True)
        for name, content in members.items():
            (folder / "ct" / "series" / name).write_bytes(content)
    assert np.array_equal(user_case(folder).hu, expected.hu)


def test_a_right_femur_is_told_by_its_folder_or_its_side_file(folder: Path):
    folder = folder.rename(folder.parent / "anna")
    (folder / "side.txt").write_text("Right\n")
    assert (user_case(folder).name, user_case(folder).right) == ("anna_right", True)
    (folder / "side.txt").unlink()
    renamed = folder.rename(folder.parent / "ben_right")
    assert (user_case(renamed).name, user_case(renamed).right) == ("ben_right", True)


def test_a_trust_map_is_taken_over(folder: Path):
    trust = np.full(SHAPE, 2, dtype=np.uint8)
    trust[:10] = 0
    write_nifti(trust, GRID, folder / "trust.nii.gz")
    assert np.array_equal(user_case(folder).trust, trust)


def _break_side(folder: Path) -> None:
    (folder / "side.txt").write_text("both")


def _other_shape(folder: Path) -> None:
    mask = np.ones((29, *SHAPE[1:]), dtype=np.uint8)
    grid = VolumeGeometry((29, *SHAPE[1:]), GRID.affine_lps)
    write_nifti(mask, grid, folder / "periosteal.nii.gz")


def _other_place(folder: Path) -> None:
    grid = VolumeGeometry.axis_aligned(SHAPE, SpacingMm(2.0, 0.8, 0.8), (-10.0, -20.0, 31.0))
    write_nifti(_arrays()["endosteal"].astype(np.uint8), grid, folder / "endosteal.nii.gz")


def _sheared(folder: Path) -> None:
    affine = GRID.affine_lps.copy()
    affine[1, 2] = 0.3
    image = nib.Nifti1Image(_arrays()["ct"].transpose(2, 1, 0), affine)
    nib.save(image, folder / "ct.nii.gz")


def _not_a_number(folder: Path) -> None:
    hu = _arrays()["ct"].astype(np.float32)
    hu[0, 0, 0] = np.nan
    write_nifti(hu, GRID, folder / "ct.nii.gz")


def _of_colours(folder: Path, name: str) -> None:
    colours = np.zeros(SHAPE[::-1], dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, GRID.affine_ras), folder / f"{name}.nii.gz")


def _encrypted_zip(folder: Path) -> None:
    """A zip whose one member is marked as encrypted, in its own header and in the directory."""
    (folder / "ct.nii.gz").unlink()
    with zipfile.ZipFile(folder / "ct.zip", "w") as archive:
        archive.writestr("1.dcm", b"content")
    content = bytearray((folder / "ct.zip").read_bytes())
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    (folder / "ct.zip").write_bytes(content)


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (_break_side, "its side is unknown"),
    (lambda f: (f / "side.txt").write_text("right"), r"its name and side.txt \(right\) name"),
    (lambda f: (f / "ct.nii.gz").unlink(), "found 0 CTs, needed one of"),
    (lambda f: (f / "ct").mkdir(), "found 2 CTs"),
    (lambda f: (f / "endosteal.nii.gz").unlink(), "endosteal.nii.gz is missing"),
    (lambda f: (f / "ct.nii.gz").write_bytes(b"no image"), "unreadable file"),
    (lambda f: (f / "endosteal.nii.gz").write_bytes(b""), "unreadable file endosteal.nii.gz"),
    (
        lambda f: (f / "ct.nii.gz").write_bytes(gzip.compress(b"no image" * 100)),
        "unreadable file ct.nii.gz",
    ),
    (lambda f: _of_colours(f, "ct"), "ct.nii.gz holds .* values, needed one number per voxel"),
    (lambda f: _of_colours(f, "periosteal"), "needed one number per voxel"),
    (_encrypted_zip, "unreadable zip .*encrypted"),
    (lambda f: (f / "side.txt").write_text("left", "utf-16"), "its side is unknown"),
    (_other_shape, r"different grids: \(29, 20, 24\) and \(30, 20, 24\) voxels"),
    (_other_place, "different grids: they lie 1.0 mm apart"),
    (_sheared, "sheared"),
    (lambda f: _rewrite(f, "ct", lambda a: np.abs(a, out=a)), "no value below 0"),
    (lambda f: _rewrite(f, "ct", lambda a: np.sign(a, out=a)), "values reach from -1 to 1"),
    (_not_a_number, "values that are no numbers"),
    (lambda f: _rewrite(f, "periosteal", lambda a: a.fill(0)), "periosteal.nii.gz is empty"),
    (lambda f: _rewrite(f, "endosteal", lambda a: a.fill(0)), "endosteal.nii.gz is empty"),
    (lambda f: _rewrite(f, "endosteal", lambda a: a[3].fill(1)), "lie outside the periosteal"),
    (lambda f: _rewrite(f, "periosteal", lambda a: a[3].fill(7)), "holds 2 labels, needed one"),
    (
        lambda f: write_nifti(np.full(SHAPE, 9, np.uint8), GRID, f / "trust.nii.gz"),
        "other than 0, 1 and 2",
    ),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
def test_a_case_that_cannot_be_used_is_refused_by_name(
    folder: Path, damage: Callable[[Path], object], reason: str
):
    damage(folder)
    with pytest.raises(CaseError, match=rf"^case anna_left: .*{reason}"):
        user_case(folder)


def test_an_unusable_series_is_refused_by_name(folder: Path):
    (folder / "ct.nii.gz").unlink()
    (folder / "ct").mkdir()
    (folder / "ct" / "notes.txt").write_text("no CT")
    with pytest.raises(CaseError, match=r"^case anna_left: .*DICOM"):
        user_case(folder)


def test_one_refused_case_does_not_keep_the_others_out(folder: Path):
    (folder.parent / "ben_right").mkdir()
    first, second = sources_in(folder.parent)
    assert not isinstance(first, CaseError)
    assert isinstance(second, CaseError)
    with pytest.raises(CaseError, match="holds no folder"):
        list(sources_in(folder))
    with pytest.raises(CaseError, match="there is no folder"):
        list(sources_in(folder / "missing"))


def test_a_second_case_of_the_same_subject_and_side_is_refused(folder: Path):
    twin = shutil.copytree(folder, folder.parent / "anna")
    (twin / "side.txt").write_text("left")
    refused, kept = (
        source if isinstance(source, CaseError) else source.name
        for source in reversed(list(sources_in(folder.parent)))
    )
    assert kept == "anna_left"
    assert "case anna_left: anna is anna_left already" in str(refused)
