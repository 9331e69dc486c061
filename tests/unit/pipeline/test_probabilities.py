from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.domain.imaging import CroppedVolume
from service.domain.model_contract import ModelContract
from service.pipeline import probabilities
from service.pipeline.probabilities import plan_windows, probability_map

CONTRACT = ModelContract(role="periosteal", window_zyx=(16, 32, 32))
DEEPER = ModelContract(role="periosteal", window_zyx=(32, 32, 32))
"""Deep windows share 16 slices, so a contract's window is deeper."""


@dataclass
class ClippedHu:
    """A network whose probability is HU / 1000, clipped."""

    contract: ModelContract = CONTRACT
    provider: str = "test"
    sha256: str = ""
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.shapes.append(hu.shape)
        return np.clip(hu / 1000, 0, 1).astype(np.float32)


def crop(shape: tuple[int, int, int]) -> CroppedVolume:
    hu = np.random.default_rng(0).uniform(0, 1000, shape).astype(np.float32)
    geometry = VolumeGeometry.axis_aligned(shape, SpacingMm(1.0, 0.8, 0.8))
    return CroppedVolume(FemurSide.LEFT, hu, geometry)


@pytest.mark.parametrize("shape", [(5, 10, 70), (40, 33, 20)], ids=["flat", "tall"])
@pytest.mark.parametrize("stride", [1, 8])
def test_a_voxelwise_network_gives_its_own_map_whatever_the_windows(
    shape: tuple[int, int, int], stride: int
) -> None:
    volume = crop(shape)
    result = probability_map(volume, ClippedHu(), stride, lambda: None)
    np.testing.assert_allclose(result.values, volume.hu / 1000, atol=1e-6)


def test_a_narrow_crop_runs_in_narrow_windows_of_the_contracts_multiple() -> None:
    network = ClippedHu()
    probability_map(crop((20, 17, 5)), network, 16, lambda: None)
    assert set(network.shapes) == {(16, 32, 16)}


def in_pieces(shape: tuple[int, int, int], *pieces: Box) -> CroppedVolume:
    return replace(crop(shape), pieces=pieces)


LEANING = (
    Box((0, 20, 4), (8, 34, 18)),
    Box((8, 12, 4), (20, 28, 18)),
    Box((20, 0, 0), (40, 30, 40)),
)
"""A shaft that runs forward as it goes up, and what lies above it, in 40 x 40 x 40 voxels."""


def test_a_row_of_windows_is_as_narrow_as_the_pieces_it_meets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows at 0, 8, 16 and 24; from 8 on they meet the last piece, of 40 columns: two windows."""
    monkeypatch.setattr(probabilities, "SHAPE_VOXELS", 0)
    monkeypatch.setattr(probabilities, "NARROWEST", 1)
    volume = in_pieces((40, 40, 40), *LEANING)
    boxes = plan_windows(volume, CONTRACT, 8).boxes
    assert (boxes[0].start_zyx, boxes[0].stop_zyx) == ((0, 7, 3), (16, 39, 19))
    assert [b.start_zyx[0] for b in boxes] == [0, 8, 8, 16, 16, 24, 24]
    assert {b.shape_zyx for b in boxes[1:]} == {(16, 32, 32)}
    result = probability_map(volume, ClippedHu(), 8, lambda: None)
    for piece in LEANING:
        np.testing.assert_allclose(
            result.values[piece.slices], volume.hu[piece.slices] / 1000, atol=1e-6
        )


def test_by_default_every_voxel_is_seen_by_deep_windows() -> None:
    for shape in ((5, 10, 70), (90, 33, 20)):
        volume = crop(shape)
        result = probability_map(volume, ClippedHu(DEEPER), None, lambda: None)
        np.testing.assert_allclose(result.values, volume.hu / 1000, atol=1e-6)


@pytest.mark.parametrize(
    ("most_voxels", "depths", "starts"),
    [
        # 100 slices in three windows that share 16: (100 + 2 x 16) / 3 = 44, a multiple of 16
        (32 * 32 * 48, 48, [0, 26, 52]),
        # in two: (100 + 16) / 2 = 58
        (32 * 32 * 64, 64, [0, 36]),
        # in one, padded by six slices before and after
        (32 * 32 * 112, 112, [0]),
    ],
)
def test_deep_windows_cost_the_least_that_their_voxels_allow(
    monkeypatch: pytest.MonkeyPatch, most_voxels: int, depths: int, starts: list[int]
) -> None:
    monkeypatch.setattr(probabilities, "DEEP_WINDOW_VOXELS", most_voxels)
    boxes = plan_windows(crop((100, 30, 30)), DEEPER, None).boxes
    assert {b.shape_zyx for b in boxes} == {(depths, 32, 32)}
    assert [b.start_zyx[0] for b in boxes] == starts


def test_deep_rows_are_as_narrow_as_the_pieces_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probabilities, "SHAPE_VOXELS", 0)
    monkeypatch.setattr(probabilities, "NARROWEST", 1)
    monkeypatch.setattr(probabilities, "DEEP_WINDOW_VOXELS", 32 * 32 * 48)
    shaft, above = Box((0, 10, 4), (50, 26, 20)), Box((50, 0, 0), (100, 32, 32))
    boxes = plan_windows(in_pieces((100, 32, 32), shaft, above), DEEPER, None).boxes
    assert [(b.start_zyx, b.stop_zyx) for b in boxes] == [
        ((0, 10, 4), (48, 26, 20)),
        ((26, 0, 0), (74, 32, 32)),
        ((52, 0, 0), (100, 32, 32)),
    ]


def test_pieces_that_save_less_than_another_size_of_window_costs_leave_one_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probabilities, "NARROWEST", 1)
    boxes = plan_windows(in_pieces((40, 40, 40), *LEANING), CONTRACT, 8).boxes
    assert {b.shape_zyx for b in boxes} == {(16, 32, 32)}
    assert [b.start_zyx[0] for b in boxes] == [0, 8, 8, 16, 16, 24, 24]


def test_no_window_is_narrower_than_the_patches_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probabilities, "NARROWEST", 24)
    slender = in_pieces((40, 40, 20), Box((0, 14, 6), (40, 22, 14)))
    assert {b.shape_zyx for b in plan_windows(slender, CONTRACT, 8).boxes} == {(16, 32, 32)}


def test_a_row_that_meets_no_piece_is_as_wide_as_the_crop() -> None:
    volume = in_pieces((40, 32, 32), Box((0, 10, 4), (8, 26, 20)))
    boxes = plan_windows(volume, CONTRACT, 8).boxes
    assert {b.shape_zyx for b in boxes if b.start_zyx[0] >= 8} == {(16, 32, 32)}


def test_the_papers_windows_take_no_notice_of_the_pieces() -> None:
    assert plan_windows(in_pieces((40, 40, 40), *LEANING), CONTRACT, 1) == plan_windows(
        crop((40, 40, 40)), CONTRACT, 1
    )


@pytest.mark.parametrize(("head_top", "run"), [(20, 3), (25, 4), (60, 5)])
def test_above_the_end_of_the_femur_no_window_is_run(head_top: int, run: int) -> None:
    """Windows of 16 slices start at 0, 8, 16, 24 and 32; the last piece begins in the second."""
    pieces = Box((0, 0, 0), (14, 32, 32)), Box((14, 0, 0), (48, 32, 32))
    volume = in_pieces((48, 32, 32), *pieces)
    hu = np.where(np.arange(48)[:, None, None] < head_top, volume.hu + 600, 0)
    calls: list[int] = []
    network = ClippedHu()
    bone = replace(volume, hu=hu.astype(np.float32))

    result = probability_map(bone, network, 8, lambda: calls.append(1))

    assert len(network.shapes) == run
    assert len(calls) == len(plan_windows(bone, CONTRACT, 8).boxes) == 5
    np.testing.assert_allclose(result.values, np.clip(bone.hu / 1000, 0, 1), atol=1e-6)


def test_what_lies_above_no_shaft_is_seen_whole() -> None:
    """The endosteal network's crop where the periosteal mask begins above the shaft."""
    volume = in_pieces((48, 32, 32), Box((0, 0, 0), (48, 32, 32)))
    for stride in (8, None):
        result = probability_map(volume, ClippedHu(), stride, lambda: None)
        np.testing.assert_allclose(result.values, volume.hu / 1000, atol=1e-6)


def test_a_femur_is_followed_upward_by_windows_that_only_touch() -> None:
    pieces = Box((0, 0, 0), (10, 32, 32)), Box((10, 0, 0), (48, 32, 32))
    bone = replace(in_pieces((48, 32, 32), *pieces), hu=np.full((48, 32, 32), 900, np.float32))
    result = probability_map(bone, ClippedHu(), 16, lambda: None)
    np.testing.assert_allclose(result.values, 0.9, atol=1e-6)


def test_each_window_is_counted() -> None:
    volume, calls = crop((40, 20, 70)), []
    probability_map(volume, ClippedHu(), 8, lambda: calls.append(1))
    assert len(calls) == len(plan_windows(volume, CONTRACT, 8).boxes)


def test_a_window_of_nothing_but_fill_is_not_run() -> None:
    geometry = VolumeGeometry.axis_aligned((16, 16, 16), SpacingMm(1.0, 0.8, 0.8))
    hu = np.full((16, 16, 16), CONTRACT.outside_hu, np.float32)
    network = ClippedHu()
    result = probability_map(CroppedVolume(FemurSide.LEFT, hu, geometry), network, 8, lambda: None)
    assert network.shapes == []
    assert not result.values.any()


def test_bone_that_the_end_of_the_crop_cuts_goes_on_in_the_padding() -> None:
    class Recorder(ClippedHu):
        def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            self.seen = hu
            return super().predict(hu)

    network, volume = Recorder(), crop((12, 32, 31))
    probability_map(volume, network, 8, lambda: None)
    # two slices before and two after; no column before and one after
    np.testing.assert_array_equal(network.seen[[0, 1, 14, 15], :, :31], volume.hu[[0, 0, 11, 11]])
    np.testing.assert_array_equal(network.seen[2:14, :, 31], volume.hu[:, :, 30])


def test_the_listener_can_stop_between_windows() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    network = ClippedHu()
    with pytest.raises(KeyboardInterrupt):
        probability_map(crop((64, 32, 32)), network, 8, stop)
    assert len(network.shapes) == 1
