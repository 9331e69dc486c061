"""A results folder is complete, or not there at all."""

from pathlib import Path

import pytest

from service.output_folder import filled_or_absent, is_usable


def test_folder_appears_with_everything_that_was_written(tmp_path: Path) -> None:
    with filled_or_absent(tmp_path / "a" / "out") as folder:
        (folder / "report.json").write_text("{}")
        assert not (tmp_path / "a").exists()

    assert [path.name for path in (tmp_path / "a" / "out").iterdir()] == ["report.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_when_the_block_fails(tmp_path: Path, failure: type[BaseException]) -> None:
    def fill_half() -> None:
        with filled_or_absent(tmp_path / "a" / "out") as folder:
            (folder / "report.json").write_text("{}")
            raise failure

    with pytest.raises(failure):
        fill_half()

    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    with filled_or_absent(out) as folder:
        (folder / "report.json").write_text("{}")

    assert (out / "report.json").exists()


def test_only_an_absent_or_empty_folder_is_usable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert is_usable(tmp_path / "absent")
    assert not is_usable(tmp_path)
    assert not is_usable(tmp_path / "file")
