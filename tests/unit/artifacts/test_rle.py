"""Run lengths: C order, zeros first, exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.artifacts.rle import RunLengths, decode, encode


def test_runs_follow_x_fastest_and_start_with_zeros() -> None:
    mask = np.zeros((1, 2, 3), dtype=np.uint8)
    mask[0, 0, 2] = mask[0, 1, 0] = 1
    assert encode(mask) == RunLengths(shape_zyx=(1, 2, 3), counts=(2, 2, 2))


def test_a_mask_that_starts_with_one_has_no_zeros_first() -> None:
    assert encode(np.array([[[True, False]]])).counts == (0, 1, 1)


def test_an_empty_mask_is_one_run_and_a_full_one_two() -> None:
    assert encode(np.zeros((2, 2, 2), dtype=bool)).counts == (8,)
    assert encode(np.ones((2, 2, 2), dtype=bool)).counts == (0, 8)


def test_json_has_shape_and_counts_only() -> None:
    text = encode(np.array([[[False, True]]])).model_dump_json()
    assert text == '{"shape_zyx":[1,1,2],"counts":[1,1]}'


@given(st.lists(st.booleans(), min_size=24, max_size=24))
def test_decoding_gives_the_mask_again(voxels: list[bool]) -> None:
    mask = np.array(voxels).reshape(2, 3, 4)
    np.testing.assert_array_equal(decode(encode(mask)), mask)


def test_a_mask_seen_through_a_turned_view_is_encoded_in_the_views_order() -> None:
    mask = np.random.default_rng(0).random((3, 4, 5)) > 0.5
    view = mask.transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(decode(encode(view)), view)


def test_runs_that_do_not_cover_the_shape_are_refused() -> None:
    with pytest.raises(ValidationError, match="5 voxels of 6"):
        RunLengths(shape_zyx=(1, 2, 3), counts=(2, 3))
