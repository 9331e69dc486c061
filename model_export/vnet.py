"""The paper's 3D V-Net (section 2.3, Fig. 2; Milletari et al. 2016) and its deployable form.

        16 ---------------- concat ---------------- 16 -> 1x1x1 head, 2 classes
          32 -------------- concat -------------- 32
             64 ----------- concat ----------- 64
               128 -------- concat ------- 128
                          256

Every convolution is followed by batch norm and ReLU, and each stage adds its input to its output.
The figure is not legible in our copy of the paper; DESIGN.md section 3 fixes the layout that has
8,622,530 parameters (the paper says about 8.6 M).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from model_export.config import VNET_CHANNELS

ENCODER_CONVOLUTIONS = (1, 2, 3, 2, 2)
DECODER_CONVOLUTIONS = (3, 3, 1, 1)
"""Convolutions per stage, from the deepest decoder stage to the shallowest."""

CLASSES = 2
CLIP_HU = (-500.0, 1500.0)
"""The range of HU the networks tell apart: fat and water to dense cortex."""


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3x3x3 convolution of unchanged size, batch norm, ReLU."""
    return _normalised(nn.Conv3d(inputs, outputs, 3, padding=1), outputs)


def _normalised(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))


class _EncoderStage(nn.Module):
    """Convolutions of one width, plus the stage's input (a one-channel input is broadcast)."""

    def __init__(self, inputs: int, channels: int, convolutions: int) -> None:
        super().__init__()
        widths = (inputs, *[channels] * convolutions)
        self.convolutions = nn.Sequential(*(convolution(a, b) for a, b in pairwise(widths)))

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.convolutions(x)
        return x + residual


class _DecoderStage(nn.Module):
    """Doubles the size, joins the skip, convolves; the residual is the upsampled input."""

    def __init__(self, inputs: int, channels: int, convolutions: int) -> None:
        super().__init__()
        self.up = _normalised(nn.ConvTranspose3d(inputs, channels, 2, stride=2), channels)
        widths = (2 * channels, *[channels] * convolutions)
        self.convolutions = nn.Sequential(*(convolution(a, b) for a, b in pairwise(widths)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        residual: Tensor = self.convolutions(torch.cat((x, skip), dim=1))
        return x + residual


class VNet(nn.Module):
    """Two-class logits of the input's size.

    Args:
        channels: Width of each resolution, finest first; five as in the paper unless a test needs
            a smaller network.
    """

    def __init__(self, channels: tuple[int, ...] = VNET_CHANNELS) -> None:
        super().__init__()
        self.first = _EncoderStage(1, channels[0], ENCODER_CONVOLUTIONS[0])
        self.down = nn.ModuleList(
            _normalised(nn.Conv3d(fine, coarse, 3, stride=2, padding=1), coarse)
            for fine, coarse in pairwise(channels)
        )
        self.encoder = nn.ModuleList(
            _EncoderStage(width, width, convolutions)
            for width, convolutions in zip(channels[1:], ENCODER_CONVOLUTIONS[1:], strict=True)
        )
        self.decoder = nn.ModuleList(
            _DecoderStage(coarse, fine, convolutions)
            for (fine, coarse), convolutions in zip(
                reversed(list(pairwise(channels))), DECODER_CONVOLUTIONS, strict=True
            )
        )
        self.head = nn.Conv3d(channels[0], CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: float32 ``[batch, 1, z, y, x]``, scaled to -1..1; z, y and x divisible by 16.

        Returns:
            float32 ``[batch, 2, z, y, x]``; channel 1 is the foreground.
        """
        x = self.first(x)
        skips = []
        for down, stage in zip(self.down, self.encoder, strict=True):
            skips.append(x)
            x = stage(down(x))
        for stage in self.decoder:
            x = stage(x, skips.pop())
        logits: Tensor = self.head(x)
        return logits


def scale_hu(hu: Tensor) -> Tensor:
    """HU clipped to -500..1500 and scaled to -1..1, same shape."""
    low, high = CLIP_HU
    return (hu.clamp(low, high) - (low + high) / 2) * (2 / (high - low))


class FemurNetwork(nn.Module):
    """What is exported: raw HU ``[1, 1, z, y, x]`` in, foreground probability of that shape out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, hu: Tensor) -> Tensor:
        """Probability, float32 ``[1, 1, z, y, x]``, of HU of that shape; sides divisible by 16."""
        return torch.softmax(self.network(scale_hu(hu)), dim=1)[:, 1:]
