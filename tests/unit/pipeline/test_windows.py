import numpy as np
import pytest

from service.pipeline.windows import blend_weights, placed_windows, window_side, window_starts


def test_stride_one_runs_the_papers_number_of_windows() -> None:
    assert len(window_starts(244, 64, 1)) == 244 - 64 + 1


def test_windows_are_as_few_as_the_stride_allows_and_evenly_spread() -> None:
    """36 slices are left over for two steps of at most 32; 128 are four steps of 32."""
    assert window_starts(100, 64, 32) == (0, 18, 36)
    assert window_starts(192, 64, 32) == (0, 32, 64, 96, 128)


def test_no_step_exceeds_the_stride() -> None:
    for length in range(64, 300):
        for stride in (1, 7, 32, 64):
            starts = window_starts(length, 64, stride)
            assert starts[-1] == length - 64
            assert max(np.diff(starts), default=0) <= stride


def test_one_window_covers_a_crop_of_its_size() -> None:
    assert window_starts(64, 64, 32) == (0,)


@pytest.mark.parametrize(("length", "stride"), [(63, 1), (64, 0), (200, 65)])
def test_what_no_window_can_cover_is_refused(length: int, stride: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        window_starts(length, 64, stride)


@pytest.mark.parametrize(
    ("length", "side"),
    [(17, 32), (150, 160), (192, 192), (193, 128), (220, 144), (336, 192), (337, 160)],
    ids=lambda value: str(value),
)
def test_windows_in_plane_are_as_narrow_as_their_number_allows(length: int, side: int) -> None:
    """193 voxels need two windows, which share 48: (193 + 48) / 2 = 120.5, up to 128; 336 are two
    of 192 less 48; 337 need three: (337 + 96) / 3 = 144.3, up to 160."""
    assert window_side(length, 192, 48, 16)[0] == side


def test_windows_cover_every_voxel_of_a_wide_crop_and_share_48() -> None:
    for length in range(193, 700, 13):
        side, stride = window_side(length, 192, 48, 16)
        assert side <= 192
        covered = np.zeros(length, dtype=int)
        for start in placed_windows((0, length), length, side, stride):
            covered[start : start + side] += 1
        assert covered.min() == 1
        shared = np.flatnonzero(np.diff((covered > 1).astype(int)))
        assert min(shared[1::2] - shared[::2]) >= 48


@pytest.mark.parametrize(
    ("part", "start"), [((20, 30), 17), ((0, 10), 0), ((55, 60), 44), ((50, 60), 44)]
)
def test_a_window_longer_than_its_part_is_about_it_and_within_the_axis(
    part: tuple[int, int], start: int
) -> None:
    assert placed_windows(part, 60, 16, 16) == (start,)


def test_windows_over_a_long_part_stay_within_it() -> None:
    assert placed_windows((10, 50), 60, 16, 12) == (10, 22, 34)


def test_in_the_papers_average_slices_count_alike() -> None:
    weights = blend_weights((8, 4, 4), level=True)
    assert (weights == weights[:1]).all()


def test_otherwise_weight_falls_to_the_faces_and_stays_positive() -> None:
    column = blend_weights((8, 4, 4), level=False)[:, 2, 2]
    assert column.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
