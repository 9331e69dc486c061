import pytest
import torch

from model_export.config import TrainingConfig
from model_export.networks import half_precision, network_of
from model_export.unet import UNet
from model_export.vnet import VNet


def test_the_configuration_names_the_layout(tiny: TrainingConfig):
    assert isinstance(network_of(tiny), VNet)
    assert isinstance(network_of(tiny.model_copy(update={"architecture": "unet"})), UNet)


@pytest.mark.parametrize(("bf16", "half"), [(True, torch.bfloat16), (False, torch.float16)])
def test_mixed_precision_is_bfloat16_on_a_device_that_has_it(
    tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch, bf16: bool, half: torch.dtype
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    mixed = tiny.model_copy(update={"mixed_precision": True})
    assert half_precision(mixed, torch.device("cuda")) is half
    assert half_precision(tiny, torch.device("cuda")) is None
    assert half_precision(mixed, torch.device("cpu")) is None
