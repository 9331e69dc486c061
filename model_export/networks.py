"""The network of a configuration, and what it runs on."""

from __future__ import annotations

import torch
from torch import nn

from model_export.config import TrainingConfig
from model_export.unet import UNet
from model_export.vnet import VNet


def network_of(config: TrainingConfig) -> nn.Module:
    """A network with random weights: ``[batch, 1, z, y, x]`` scaled HU in, two-class logits out."""
    layout = VNet if config.architecture == "vnet" else UNet
    return layout(config.channels)


def available_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU; ``CUDA_VISIBLE_DEVICES`` chooses."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def half_precision(config: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """The 16-bit type convolutions are computed in; None for float32 throughout.

    bfloat16 where the device has it, since its range needs no scaling of the loss.
    """
    if not config.mixed_precision or device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
