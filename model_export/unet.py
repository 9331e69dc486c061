"""A plain 3D U-Net, the paper's baseline (section 5; Ronneberger et al. 2015, in 3D as in 2016).

        c0 - c0 ---------------- concat ---------------- c0 - c0 -> 1x1x1 head, 2 classes
          c1 - c1 -------------- concat -------------- c1 - c1
             c2 - c2 ----------- concat ----------- c2 - c2
               c3 - c3 --------- concat --------- c3 - c3
                          c4 - c4

Two 3x3x3 convolutions per stage, each with batch norm and ReLU; down by 2x2x2 max pooling, up by
2x2x2 transposed convolution; no residuals.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from model_export.config import UNET_CHANNELS
from model_export.vnet import CLASSES, convolution


def _stage(inputs: int, channels: int) -> nn.Sequential:
    """Two convolutions of one width."""
    return nn.Sequential(convolution(inputs, channels), convolution(channels, channels))


class UNet(nn.Module):
    """Two-class logits of the input's size.

    Args:
        channels: Width of each resolution, finest first.
    """

    def __init__(self, channels: tuple[int, ...] = UNET_CHANNELS) -> None:
        super().__init__()
        upwards = list(reversed(list(pairwise(channels))))
        self.encoder = nn.ModuleList(
            _stage(inputs, width) for inputs, width in pairwise((1, *channels))
        )
        self.down = nn.MaxPool3d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(coarse, fine, 2, stride=2) for fine, coarse in upwards
        )
        self.decoder = nn.ModuleList(_stage(2 * fine, fine) for fine, _ in upwards)
        self.head = nn.Conv3d(channels[0], CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits.

        Args:
            x: float32 ``[batch, 1, z, y, x]``, scaled to -1..1; z, y and x divisible by 16.

        Returns:
            float32 ``[batch, 2, z, y, x]``; channel 1 is the foreground.
        """
        *finer, deepest = self.encoder
        skips = []
        for stage in finer:
            x = stage(x)
            skips.append(x)
            x = self.down(x)
        x = deepest(x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(torch.cat((up(x), skips.pop()), dim=1))
        logits: Tensor = self.head(x)
        return logits
