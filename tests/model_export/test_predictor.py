from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.checkpoint import Checkpoint, RunError
from model_export.config import TrainingConfig
from model_export.networks import network_of
from model_export.onnx_export import publish
from model_export.predictor import TorchPredictor, open_predictor
from service.errors import ModelError

HU = np.random.default_rng(0).uniform(-500, 1500, (16, 32, 16)).astype(np.float32)


@pytest.fixture
def make_checkpoint(tiny: TrainingConfig) -> Callable[..., Checkpoint]:
    def make(seed: int = 0, **changes: object) -> Checkpoint:
        config = tiny.model_copy(update=changes)
        torch.manual_seed(seed)
        state = network_of(config).state_dict()
        return Checkpoint(config.model_dump_json(), state, {}, 7, 1.0, True, True, "2 tubes")

    return make


@pytest.fixture
def run(tmp_path: Path, make_checkpoint: Callable[..., Checkpoint]) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    make_checkpoint().save(folder / "checkpoint.pt")
    return folder


def test_a_run_predicts_what_its_exported_file_does(run: Path):
    publish(run, run / "x.onnx")
    torch_predictor = open_predictor(run, "periosteal")
    onnx_predictor = open_predictor(run / "x.onnx", "periosteal")
    found, expected = torch_predictor.predict(HU), onnx_predictor.predict(HU)
    assert found.shape == HU.shape
    assert found.dtype == np.float32
    # the exported weights are rounded to fp16
    assert np.abs(found - expected).max() < 0.01
    assert torch_predictor.contract == onnx_predictor.contract
    assert torch_predictor.provider == f"torch {'cuda' if torch.cuda.is_available() else 'cpu'}"
    assert len(torch_predictor.sha256) == 64


@pytest.mark.parametrize("select", ["best", "last"])
def test_a_run_stands_for_the_weights_its_configuration_selects(
    tmp_path: Path, make_checkpoint: Callable[..., Checkpoint], select: str
):
    last, best = make_checkpoint(0, select=select), make_checkpoint(1, select=select)
    last.save(tmp_path / "checkpoint.pt")
    best.save(tmp_path / "best.pt")
    expected = TorchPredictor(tmp_path / ("best.pt" if select == "best" else "checkpoint.pt"))
    other = TorchPredictor(tmp_path / ("checkpoint.pt" if select == "best" else "best.pt"))
    found = TorchPredictor(tmp_path).predict(HU)
    assert np.array_equal(found, expected.predict(HU))
    assert not np.array_equal(found, other.predict(HU))


def test_a_network_of_the_other_surface_is_refused(run: Path):
    with pytest.raises(RunError, match="finds the periosteal surface; needed: endosteal"):
        open_predictor(run, "endosteal")
    publish(run, run / "x.onnx")
    with pytest.raises(ModelError, match="finds the periosteal surface; needed: endosteal"):
        open_predictor(run / "x.onnx", "endosteal")


def test_a_network_of_the_cropped_ct_is_neither_opened_nor_published(
    tmp_path: Path, make_checkpoint: Callable[..., Checkpoint]
):
    checkpoint = make_checkpoint(role="endosteal", endosteal_input="cropped")
    checkpoint.save(tmp_path / "checkpoint.pt")
    with pytest.raises(RunError, match="ablation"):
        open_predictor(tmp_path, "endosteal")
    with pytest.raises(RunError, match="ablation"):
        publish(tmp_path, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match="no checkpoint"):
        open_predictor(tmp_path, "periosteal")
