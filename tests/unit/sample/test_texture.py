import numpy as np
import pytest

from service.sample.distance_fields import Points
from service.sample.texture import TILE_SPACING_MM, TILE_VOXELS, draw_texture


def test_a_texture_has_mean_0_and_standard_deviation_1() -> None:
    tile = draw_texture(np.random.default_rng(5)).tile

    assert tile.mean() == pytest.approx(0, abs=1e-4)
    assert tile.std() == pytest.approx(1, abs=1e-4)


def test_a_texture_repeats_after_one_tile() -> None:
    texture = draw_texture(np.random.default_rng(5))
    here = np.array([[3.0, -7, 12], [20, 4, -90]])
    period = TILE_VOXELS * TILE_SPACING_MM

    there = texture.at(Points.of(here + np.array([period, 0, 0])), (1, 1, 1))

    assert there == pytest.approx(texture.at(Points.of(here), (1, 1, 1)), abs=1e-3)
