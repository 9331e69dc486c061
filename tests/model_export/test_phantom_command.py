from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("musculoskeletal", reason="the shape model's package is not installed")

from model_export.__main__ import app
from model_export.cases import load_case
from model_export.phantoms import shape_model as module
from service.errors import InputError


def test_the_command_writes_both_femurs_and_says_how_fast(tmp_path: Path):
    answer = CliRunner().invoke(
        app, ["phantom", "--out", str(tmp_path), "--count", "1", "--first-seed", "4001"]
    )
    assert answer.exit_code == 0, answer.output
    assert "2 cases" in answer.output
    assert {load_case(p).kind for p in tmp_path.glob("*.npz")} == {"phantom"}
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_a_missing_shape_model_is_named_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module, "files", missing)
    module.shape_model.cache_clear()
    with pytest.raises(InputError, match="extra `train`"):
        module.shape_model()
