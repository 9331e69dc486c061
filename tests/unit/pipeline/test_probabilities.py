from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import CroppedVolume
from service.domain.model_contract import ModelContract
from service.pipeline.probabilities import plan_windows, probability_map

CONTRACT = ModelContract(role="periosteal", window_zyx=(16, 32, 32))


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


def test_each_window_is_counted() -> None:
    volume, calls = crop((40, 20, 70)), []
    probability_map(volume, ClippedHu(), 8, lambda: calls.append(1))
    assert len(calls) == len(plan_windows(volume.hu.shape, CONTRACT, 8).boxes)


def test_a_window_of_nothing_but_fill_is_not_run() -> None:
    geometry = VolumeGeometry.axis_aligned((16, 16, 16), SpacingMm(1.0, 0.8, 0.8))
    hu = np.full((16, 16, 16), CONTRACT.outside_hu, np.float32)
    network = ClippedHu()
    result = probability_map(CroppedVolume(FemurSide.LEFT, hu, geometry), network, 8, lambda: None)
    assert network.shapes == []
    assert not result.values.any()


def test_the_listener_can_stop_between_windows() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    network = ClippedHu()
    with pytest.raises(KeyboardInterrupt):
        probability_map(crop((64, 32, 32)), network, 8, stop)
    assert len(network.shapes) == 1
