from pathlib import Path

import pytest

from model_export.case_sets import CaseSets, case_files, subject_of, used_by
from model_export.cases import CaseError
from model_export.config import TrainingConfig


def _touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.npz").touch()


def test_both_femurs_of_a_person_are_one_subject():
    names = ("anna_left.npz", "anna_right.npz", "STS_004.npz")
    assert [subject_of(Path(name)) for name in names] == ["anna", "anna", "STS_004"]


def test_right_femurs_are_left_out_where_the_configuration_takes_none(tiny: TrainingConfig):
    cases = (Path("anna_left.npz"), Path("anna_right.npz"))
    assert used_by(tiny, cases) == cases
    assert used_by(tiny.model_copy(update={"right_femurs": False}), cases) == cases[:1]


def test_a_folder_of_train_and_validation_gives_both(tmp_path: Path):
    _touch(tmp_path / "train", "b_left", "a_left")
    _touch(tmp_path / "validation", "c_left")
    sets = CaseSets.of_folder(tmp_path)
    assert [p.stem for p in sets.train] == ["a_left", "b_left"]
    assert [p.stem for p in sets.validation] == ["c_left"]


def test_a_folder_of_cases_is_trained_on_as_a_whole(tmp_path: Path):
    _touch(tmp_path, "a_left")
    assert CaseSets.of_folder(tmp_path) == CaseSets((tmp_path / "a_left.npz",))


def test_a_missing_folder_holds_no_case(tmp_path: Path):
    assert case_files(tmp_path / "nowhere") == ()


def test_a_subject_to_train_on_and_to_validate_with_is_refused(tmp_path: Path):
    _touch(tmp_path / "train", "anna_left", "ben_left")
    _touch(tmp_path / "validation", "anna_right")
    with pytest.raises(CaseError, match=r"^anna: to train on and to validate with"):
        CaseSets.of_folder(tmp_path)


def test_the_series_reserved_for_validation_is_not_trained_on(tmp_path: Path):
    _touch(tmp_path / "train", "STS_004", "STS_020_left")  # as pseudo-label names it
    with pytest.raises(CaseError, match=r"^STS_020 is reserved for validation"):
        CaseSets.of_folder(tmp_path)
    _touch(tmp_path / "own", "STS_020")
    with pytest.raises(CaseError, match=r"^STS_020 is reserved for validation"):
        CaseSets.of_folder(tmp_path / "own")
