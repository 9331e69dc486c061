import torch

from model_export.unet import UNet
from model_export.vnet import VNet


def _size(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_baseline_has_8_641_842_parameters_as_many_as_the_v_net_to_half_a_percent():
    assert _size(UNet()) == 8_641_842
    assert abs(_size(UNet()) / _size(VNet()) - 1) < 0.005


def test_logits_have_two_classes_and_the_size_of_the_input():
    network = UNet((2, 2, 4, 4, 4)).eval()
    assert network(torch.zeros(1, 1, 16, 32, 48)).shape == (1, 2, 16, 32, 48)
