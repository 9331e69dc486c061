from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from model_export.case_sets import CaseSets
from model_export.checkpoint import Checkpoint, RunError, load_checkpoint
from model_export.config import TrainingConfig
from model_export.first_weights import first_weights
from model_export.networks import network_of
from model_export.onnx_export import contract_of, publish
from model_export.schedule import Budget
from model_export.training import RunPlan, Trainer
from service.adapters.model_files import read_model

HU = 500 * torch.randn((1, 1, 32, 32, 32), generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=["vnet", "unet"])
def run(
    tmp_path: Path,
    tiny: TrainingConfig,
    finished: Callable[..., Checkpoint],
    request: pytest.FixtureRequest,
) -> Path:
    """A checkpoint of either layout whose batch norm does something."""
    config = tiny.model_copy(
        update={"architecture": request.param, "channels": (4, 4, 8, 8, 8), "warmup_share": 0.0}
    )
    torch.manual_seed(3)
    network = network_of(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.2, 3.0)
            module.bias.data.uniform_(-1.0, 1.0)
    path = tmp_path / "first.pt"
    finished(config, network, "3 annotated real series").save(path)
    return path


def _logits(config: TrainingConfig, state: dict[str, torch.Tensor]) -> torch.Tensor:
    network = network_of(config)
    network.load_state_dict(state)
    with torch.no_grad():
        return torch.as_tensor(network.eval()(HU / 1000))


def test_a_published_network_computes_what_it_did_with_kernels_as_long_as_fresh_ones(
    tmp_path: Path, run: Path
):
    checkpoint = load_checkpoint(run)
    config = checkpoint.config()
    published = tmp_path / "periosteal.onnx"
    publish(run, published)

    first = first_weights(published, config)

    expected = _logits(config, checkpoint.network)
    # the file's weights are rounded to half precision
    assert (_logits(config, first.network) - expected).abs().max() < 0.01 * expected.abs().max()
    fresh = network_of(config)
    for name, block in fresh.named_modules():
        if isinstance(block, nn.Conv3d | nn.ConvTranspose3d) and name != "head":
            ratio = first.network[f"{name}.weight"].std() / block.weight.std()
            assert 0.7 < ratio < 1.4, name


def test_training_goes_on_from_a_published_network_where_it_was(
    tmp_path: Path, run: Path, cases: Path
):
    config = load_checkpoint(run).config().model_copy(update={"freeze_norm_at": 1.0})
    published = tmp_path / "periosteal.onnx"
    publish(run, published)
    still = config.model_copy(update={"learning_rate": 1e-30})
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=2), published)

    list(Trainer(still, plan).train(lambda: False))

    checkpoint = load_checkpoint(plan.run)
    expected = _logits(config, first_weights(published, config).network)
    assert checkpoint.norm_frozen
    torch.testing.assert_close(_logits(config, checkpoint.network), expected, rtol=1e-4, atol=1e-4)


def test_the_cases_of_a_published_network_are_told_and_their_credit_given_once(
    tmp_path: Path, run: Path, cases: Path
):
    published, again = tmp_path / "a" / "periosteal.onnx", tmp_path / "b" / "periosteal.onnx"
    publish(run, published)
    plan = RunPlan(CaseSets.of_folder(cases), tmp_path / "run", Budget(steps=1), published)
    list(Trainer(load_checkpoint(run).config(), plan).train(lambda: False))

    publish(plan.run, again)

    told = read_model(again).contract.trained_on
    assert ".;" not in told
    assert "1 phantom femurs, first weights of a published network on 3 annotated real" in told
    assert told.count("CC BY 3.0") == 1
    assert told == contract_of(load_checkpoint(plan.run)).trained_on


def test_a_network_of_another_layout_is_refused(tmp_path: Path, run: Path):
    published = tmp_path / "periosteal.onnx"
    publish(run, published)
    config = load_checkpoint(run).config()
    wider = config.model_copy(update={"channels": (4, 4, 8, 8, 16)})
    with pytest.raises(RunError, match=r"periosteal\.onnx holds another network than .* needs"):
        first_weights(published, wider)
    with pytest.raises(RunError, match=r"first\.pt holds a .* of channels \(4, 4, 8, 8, 8\)"):
        first_weights(run, wider)


@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_a_file_that_is_no_published_network_is_refused_by_name(
    tmp_path: Path, tiny: TrainingConfig, content: bytes | None
):
    path = tmp_path / "junk.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"junk\.onnx cannot be read as a published network"):
        first_weights(path, tiny)
