import numpy as np
import pytest

from service.sample.anatomy import draw_anatomy


def test_a_seed_always_gives_the_same_anatomy() -> None:
    first, second = draw_anatomy(7), draw_anatomy(7)

    assert (first.left, first.right) == (second.left, second.right)
    assert (first.pelvis, first.body, first.tissue) == (second.pelvis, second.body, second.tissue)
    assert np.array_equal(first.texture.tile, second.texture.tile)


def test_seeds_differ() -> None:
    assert draw_anatomy(7).left != draw_anatomy(8).left


@pytest.mark.parametrize("seed", range(12))
def test_sizes_and_poses_are_those_of_adults(seed: int) -> None:
    hip = draw_anatomy(seed)

    for femur in hip.femurs:
        assert 19.5 <= femur.head_radius_mm <= 26.5
        assert 110 <= femur.shape.neck_shaft_angle_deg <= 140
        assert -10 <= femur.pose.flexion_deg <= 35
    assert hip.left.head_centre_lps_mm[0] - hip.right.head_centre_lps_mm[0] > 140


def test_the_demo_subject_lies_flat() -> None:
    assert all(abs(femur.pose.flexion_deg) < 15 for femur in draw_anatomy(0).femurs)
