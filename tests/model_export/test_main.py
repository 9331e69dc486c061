from pathlib import Path

import pytest

from model_export import __main__ as command


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


def test_cross_validation_asks_for_enough_subjects(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    arguments = ("--role", "periosteal", "--cases", str(tmp_path), "--out", str(tmp_path / "out"))
    assert _run(monkeypatch, "cross-validate", *arguments) == 2
    assert "0 subjects" in capsys.readouterr().err
