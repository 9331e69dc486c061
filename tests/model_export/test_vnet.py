import pytest
import torch

from model_export.vnet import FemurNetwork, VNet, scale_hu


def test_the_paper_s_network_has_8_622_530_parameters():
    assert sum(p.numel() for p in VNet().parameters()) == 8_622_530


def test_logits_have_two_classes_and_the_size_of_the_input():
    network = VNet((2, 2, 4, 4, 4)).eval()
    assert network(torch.zeros(1, 1, 16, 32, 48)).shape == (1, 2, 16, 32, 48)


@pytest.mark.parametrize(
    ("hu", "scaled"), [(-500, -1), (500, 0), (1500, 1), (-3000, -1), (3000, 1), (1000, 0.5)]
)
def test_hu_are_clipped_to_minus_500_to_1500_and_scaled_to_one(hu: float, scaled: float):
    assert scale_hu(torch.tensor(float(hu))).item() == pytest.approx(scaled)


def test_the_deployed_network_gives_the_foreground_s_share_of_the_softmax():
    vnet = VNet((2, 2, 2, 2, 2)).eval()
    torch.nn.init.zeros_(vnet.head.weight)
    with torch.no_grad():
        vnet.head.bias.copy_(torch.log(torch.tensor([1.0, 3.0])))
    probability = FemurNetwork(vnet)(torch.zeros(1, 1, 16, 16, 16))
    assert probability.shape == (1, 1, 16, 16, 16)
    assert torch.allclose(probability, torch.tensor(0.75))
