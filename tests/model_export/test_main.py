from pathlib import Path

import numpy as np
import pytest

from model_export import __main__ as command
from service.artifacts.nifti import write_nifti
from service.domain.geometry import SpacingMm, VolumeGeometry
from tests.builders.threshold_networks import write_threshold_networks


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["model_export", *arguments])
    try:
        return command.main()
    except SystemExit as end:
        return int(end.code or 0)


def test_every_subcommand_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert _run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(
        name in shown
        for name in (
            "prepare",
            "phantom",
            "train",
            "cross-validate",
            "evaluate",
            "ablate",
            "export",
            "pseudo-label",
        )
    )


def test_an_error_of_ours_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    arguments = ("export", "--run", str(tmp_path), "--out", str(tmp_path / "x.onnx"))
    assert _run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unusable_run: no checkpoint at ")
    assert error.count("\n") == 1


def test_a_refused_case_is_named_and_the_others_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "own" / "anna_left").mkdir(parents=True)
    arguments = ("prepare", "--from", str(tmp_path / "own"), "--out", str(tmp_path / "cases"))
    assert _run(monkeypatch, *arguments) == 2
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("refused: case anna_left: found 0 CTs")
    assert last.startswith("error: unusable_case: 1 cases of ")


def test_a_case_refused_on_resampling_keeps_no_other_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    # its endosteal mask of one voxel lies between the voxels of the networks' grid
    for name, inner in (("anna_left", slice(9, 10)), ("ben_left", slice(6, 14))):
        masks = np.zeros((2, 20, 20, 20), dtype=np.uint8)
        masks[0, 3:17, 3:17, 3:17] = 1
        masks[1, inner, inner, inner] = 1
        grid = VolumeGeometry.axis_aligned((20, 20, 20), SpacingMm(0.5, 0.5, 0.5))
        folder = tmp_path / "own" / name
        folder.mkdir(parents=True)
        write_nifti(np.where(masks[0], 900, -100).astype(np.int16), grid, folder / "ct.nii.gz")
        for surface, mask in zip(("periosteal", "endosteal"), masks, strict=True):
            write_nifti(mask, grid, folder / f"{surface}.nii.gz")
    arguments = ("prepare", "--from", str(tmp_path / "own"), "--out", str(tmp_path / "cases"))
    assert _run(monkeypatch, *arguments) == 2
    assert "refused: case anna_left: the endosteal mask is empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "cases").iterdir()] == ["ben_left.npz"]


def test_missing_reference_data_are_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("FEMURCT_DATA", str(tmp_path / "nowhere"))
    arguments = ("prepare", "--out", str(tmp_path), "--phantoms", "0")
    assert _run(monkeypatch, *arguments, "--validation-phantoms", "0") == 2
    assert "set FEMURCT_DATA" in capsys.readouterr().err
    assert _run(monkeypatch, *arguments, "--validation-phantoms", "0", "--no-annotated") == 0


def test_a_series_that_cannot_be_read_does_not_keep_the_others_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    weights = write_threshold_networks(tmp_path / "weights")
    missing, torn = tmp_path / "missing.zip", tmp_path / "torn.zip"
    torn.write_bytes(b"no zip")
    arguments = ("--out", str(tmp_path / "own"), "--weights", str(weights))
    assert _run(monkeypatch, "pseudo-label", str(missing), str(torn), *arguments) == 2
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"refused: {missing}: unreadable zip")
    assert second.startswith(f"refused: {torn}: unreadable zip")
    assert last == "error: unusable_case: 2 of 2 series are refused, see above"


def test_cross_validation_asks_for_enough_subjects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    arguments = ("--role", "periosteal", "--cases", str(tmp_path), "--out", str(tmp_path / "out"))
    assert _run(monkeypatch, "cross-validate", *arguments) == 2
    assert "0 subjects" in capsys.readouterr().err
