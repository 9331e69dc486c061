from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from model_export.cases import (
    CaseError,
    SourceCase,
    TrainingCase,
    load_case,
    resample,
    resample_mask,
    to_training_case,
)
from model_export.config import cpu
from model_export.dataset import PatchSource
from service.domain.geometry import SpacingMm


def test_resampling_keeps_the_first_voxel_and_ends_at_the_last():
    # 5 slices of 2 mm span 8 mm: 9 of 1 mm; 5 rows of 1.6 mm: 9 of 0.8 mm
    values = np.arange(5.0)[:, None, None] * np.ones((1, 5, 5))
    resampled = resample(values, SpacingMm(2.0, 1.6, 0.8), order=1)
    assert resampled.shape == (9, 9, 5)
    assert np.allclose(resampled[:, 0, 0], np.arange(9) / 2)


def test_a_sloping_surface_does_not_become_a_staircase():
    # the edge moves by 4 columns from one 4 mm slice to the next: by one per mm in between
    mask = np.zeros((3, 3, 20), dtype=bool)
    for z, columns in enumerate((4, 8, 12)):
        mask[z, :, :columns] = True
    widths = resample_mask(mask, SpacingMm(4.0, 0.8, 0.8))[:, 1].sum(axis=-1)
    assert (np.abs(widths - np.arange(4, 13)) <= 1).all()


def _source(right: bool) -> SourceCase:
    periosteal, endosteal = np.zeros((2, 6, 8, 10), dtype=bool)
    periosteal[:, 2:7, 1:6] = True
    endosteal[:, 3:6, 2:5] = True
    return SourceCase(
        name="box",
        kind="shaft",
        right=right,
        spacing_mm=SpacingMm(1.0, 0.8, 0.8),
        hu=np.where(periosteal, 1000, 0).astype(np.float32),
        periosteal=periosteal,
        endosteal=endosteal,
        trust=np.full((6, 8, 10), 2, dtype=np.uint8),
    )


def test_a_case_already_on_the_grid_keeps_its_voxels():
    source = _source(right=False)
    case = to_training_case(source)
    assert np.array_equal(case.periosteal, source.periosteal)
    assert np.array_equal(case.endosteal, source.endosteal)
    assert np.array_equal(case.hu, source.hu)


def test_a_right_femur_is_flipped_in_x_with_its_masks():
    case = to_training_case(_source(right=True))
    assert np.array_equal(case.periosteal, _source(right=False).periosteal[:, :, ::-1])
    assert (case.hu[case.periosteal == 1] == 1000).all()


@pytest.mark.parametrize("right", [False, True])
def test_hu_and_labels_are_not_shifted_against_each_other(right: bool):
    spacing = SpacingMm(3.0, 0.6, 0.7)
    mm = np.moveaxis(np.indices((14, 60, 52)), 0, -1) * spacing
    ball = np.linalg.norm(mm - (19.0, 17.0, 20.0), axis=-1) < 13.0
    source = replace(
        _source(right),
        spacing_mm=spacing,
        hu=np.where(ball, 1000, 0).astype(np.float32),
        periosteal=ball,
        endosteal=np.zeros_like(ball),
        trust=np.full(ball.shape, 1, dtype=np.uint8),
    )
    case = to_training_case(source)
    labels = ndimage.center_of_mass(case.periosteal)
    assert ndimage.center_of_mass(case.hu) == pytest.approx(labels, abs=0.05)


def test_surface_points_lie_in_the_mask_next_to_its_outside():
    case = to_training_case(_source(right=False))
    columns = set(map(tuple, case.surface[:, 1:].tolist()))
    # the outline of rows 2-6 and columns 1-5; the tube's open ends are no surface
    assert columns == {
        (y, x) for y in range(2, 7) for x in range(1, 6) if y in (2, 6) or x in (1, 5)
    }


def test_a_saved_case_reads_back_the_same(tmp_path: Path, make_case: Callable[..., TrainingCase]):
    case = make_case("one", "phantom")
    read = load_case(case.save(tmp_path / "new"))
    assert (read.name, read.kind) == ("one", "phantom")
    for name in ("hu", "periosteal", "endosteal", "trust", "surface"):
        assert np.array_equal(getattr(read, name), getattr(case, name))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["one.npz"]


@pytest.mark.parametrize("left", [0, 10, 4000], ids=["empty", "no zip", "torn"])
def test_a_file_that_is_no_whole_case_is_refused_by_name(
    tmp_path: Path, make_case: Callable[..., TrainingCase], left: int
):
    path = make_case("torn_left").save(tmp_path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CaseError, match=r"torn_left.npz is no readable case"):
        load_case(path)
    with pytest.raises(CaseError, match=r"torn_left.npz is no readable case"):
        PatchSource([path], cpu("periosteal"))


def test_a_file_without_an_array_of_a_case_is_refused_by_name(tmp_path: Path):
    np.savez(tmp_path / "other.npz", kind=np.array("phantom"))
    with pytest.raises(CaseError, match=r"other.npz is no readable case .*hu"):
        load_case(tmp_path / "other.npz")


def test_masks_on_another_grid_are_refused_with_the_case_s_name(
    make_case: Callable[..., TrainingCase],
):
    case = make_case("wrong")
    with pytest.raises(CaseError, match=r"case wrong: .*different grids"):
        replace(case, endosteal=case.endosteal[1:])


def test_an_empty_mask_is_refused(make_case: Callable[..., TrainingCase]):
    case = make_case("hollow")
    with pytest.raises(CaseError, match="case hollow: the periosteal mask is empty"):
        replace(case, periosteal=np.zeros_like(case.periosteal), endosteal=case.endosteal * 0)


def test_an_empty_endosteal_mask_is_refused_where_it_is_trusted(
    make_case: Callable[..., TrainingCase],
):
    case = make_case("solid")
    nothing = np.zeros_like(case.endosteal)
    with pytest.raises(CaseError, match="case solid: the endosteal mask is empty, yet trusted"):
        replace(case, endosteal=nothing)
    assert not replace(case, endosteal=nothing, trust=case.trust // 2).endosteal.any()


def test_an_endosteal_mask_outside_the_periosteal_one_is_refused(
    make_case: Callable[..., TrainingCase],
):
    case = make_case("inside_out")
    with pytest.raises(CaseError, match="case inside_out: the endosteal mask leaves"):
        replace(case, endosteal=np.ones_like(case.endosteal))
