from model_export.config import TrainingConfig
from model_export.networks import network_of
from model_export.unet import UNet
from model_export.vnet import VNet


def test_the_configuration_names_the_layout(tiny: TrainingConfig):
    assert isinstance(network_of(tiny), VNet)
    assert isinstance(network_of(tiny.model_copy(update={"architecture": "unet"})), UNet)
