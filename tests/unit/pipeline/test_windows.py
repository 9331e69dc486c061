import numpy as np
import pytest

from service.pipeline.windows import blend_weights, window_boxes, window_starts


def test_stride_one_runs_the_papers_number_of_windows() -> None:
    assert len(window_starts(244, 64, 1)) == 244 - 64 + 1


def test_the_last_window_is_drawn_back_to_the_end() -> None:
    assert window_starts(100, 64, 32) == (0, 32, 36)


def test_one_window_covers_a_crop_of_its_size() -> None:
    assert window_starts(64, 64, 32) == (0,)


@pytest.mark.parametrize(("length", "stride"), [(63, 1), (64, 0), (200, 65)])
def test_what_no_window_can_cover_is_refused(length: int, stride: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        window_starts(length, 64, stride)


def test_windows_cover_every_voxel_of_a_wide_crop() -> None:
    covered = np.zeros((70, 230, 200), dtype=bool)
    for box in window_boxes(covered.shape, (64, 192, 192), 32):
        assert box.shape_zyx == (64, 192, 192)
        covered[box.slices] = True
    assert covered.all()


def test_at_stride_one_slices_count_alike() -> None:
    weights = blend_weights((8, 4, 4), 1)
    assert (weights == weights[:1]).all()


def test_at_larger_strides_weight_falls_to_the_faces_and_stays_positive() -> None:
    column = blend_weights((8, 4, 4), 4)[:, 2, 2]
    assert column.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]
