import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from service.domain.findings import Compartments, RegionalVolumes
from service.domain.model_contract import ModelContract
from tests.benchmarks.window_schemes import (
    Comparison,
    RememberingPredictor,
    dice,
    volume_differences,
)
from tests.builders.threshold_networks import ThresholdNetwork


def volumes(head: float, cortical: float | None = None) -> RegionalVolumes:
    return RegionalVolumes(
        head=Compartments(integral=head, cortical=cortical, trabecular=None),
        neck=None,
        trochanter=None,
        intertrochanter=None,
        combination=None,
        total=None,
    )


def test_a_window_is_run_once_and_counted_each_time() -> None:
    asked = []

    class Network(ThresholdNetwork):
        def predict(self, hu: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            asked.append(hu.shape)
            return super().predict(hu)

    network = Network(ModelContract(role="periosteal"), above_hu=0.0, below_hu=100.0)
    remembering = RememberingPredictor(network, {})
    window = np.full((2, 3, 4), 50.0, np.float32)

    first, second = remembering.predict(window), remembering.predict(window.copy())
    remembering.predict(window.reshape(4, 3, 2))

    assert (first == second).all()
    assert asked == [(2, 3, 4), (4, 3, 2)]
    assert remembering.voxels == 72


def test_volumes_differ_in_percent_of_the_reference() -> None:
    found, reference = volumes(50.5, 4.0), volumes(50.0, 4.0)
    assert volume_differences(found, reference) == [(50.0, pytest.approx(1.0)), (4.0, 0.0)]


def test_a_volume_that_only_one_has_differs_wholly() -> None:
    assert volume_differences(volumes(50.0), volumes(50.0, 4.0))[1] == (4.0, 100.0)
    assert volume_differences(volumes(50.0, 4.0), volumes(50.0))[1] == (0.0, 100.0)


def test_dice_of_two_empty_masks_is_one() -> None:
    empty = np.zeros((2, 2, 2), bool)
    assert dice(empty, empty) == 1.0
    assert dice(~empty, empty) == 0.0


@pytest.mark.parametrize(
    ("comparison", "passes"),
    [
        (Comparison((0.999, 0.9995), 0.3, 1.0, 5.0), True),
        (Comparison((0.9989, 1.0), 0.0, 0.0, 0.0), False),
        (Comparison((1.0, 0.9989), 0.0, 0.0, 0.0), False),
        (Comparison((1.0, 1.0), 0.31, 0.0, 0.0), False),
        (Comparison((1.0, 1.0), 0.0, 1.1, 0.0), False),
    ],
)
def test_the_gate_asks_for_both_masks_and_all_volumes_with_the_planes_held(
    comparison: Comparison, passes: bool
) -> None:
    assert comparison.passes is passes
