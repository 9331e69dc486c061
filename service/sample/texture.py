"""Band-limited random texture that repeats without a seam: trabeculae, streaks in muscle."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from service.sample.distance_fields import FloatArray, Points

TILE_VOXELS = 64
"""Edge of the cubic tile in voxels."""

TILE_SPACING_MM = 0.9
"""Size of a tile voxel; the tile repeats every 58 mm, which no eye finds in a bone."""


@dataclass(frozen=True, eq=False)
class Texture:
    """A periodic random field of mean 0 and standard deviation 1.

    Attributes:
        tile: float32 [n, n, n], read-only, spacing `TILE_SPACING_MM` along each axis.
    """

    tile: FloatArray

    def at(self, points: Points, stretch: tuple[float, float, float]) -> FloatArray:
        """Sample at points, a grain being `stretch` times longer along x, y, z."""
        index = [
            component / np.float32(TILE_SPACING_MM * factor)
            for component, factor in zip(points, stretch, strict=True)
        ]
        sampled: FloatArray = ndimage.map_coordinates(
            self.tile, index, output=np.float32, order=1, mode="grid-wrap"
        )
        return sampled


def draw_texture(rng: np.random.Generator) -> Texture:
    """Draw a tile with grains of 1 to 4 mm, as trabeculae look in a clinical CT."""
    white = rng.standard_normal((TILE_VOXELS,) * 3, dtype=np.float32)
    fine = ndimage.gaussian_filter(white, 0.9, mode="wrap")
    coarse = ndimage.gaussian_filter(white, 2.6, mode="wrap")
    tile = fine / fine.std() + 0.7 * coarse / coarse.std()
    tile = ((tile - tile.mean()) / tile.std()).astype(np.float32)
    tile.setflags(write=False)
    return Texture(tile)
