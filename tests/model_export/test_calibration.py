from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model_export.calibration import STEPS_PER_UNIT, best_bound, calibrate, tensors_for_int8
from model_export.cases import CaseError, TrainingCase
from model_export.checkpoint import Checkpoint
from model_export.config import TrainingConfig
from model_export.onnx_export import publish, weights_sha256
from model_export.vnet import VNet
from service.adapters.model_files import read_model
from service.errors import ModelError


def bound_of(values: list[tuple[float, int]]) -> float:
    """The best bound of values that occur so often."""
    counts = np.zeros(round(STEPS_PER_UNIT * max(value for value, _ in values)) + 1, np.int64)
    for value, often in values:
        counts[round(STEPS_PER_UNIT * value)] += often
    return best_bound(counts)


@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
def test_the_bound_of_a_normal_distribution_is_that_of_theory(spread: float) -> None:
    """255 steps over half a normal distribution: cut off at 4.1 to 4.7 deviations.

    It is half of a uniform quantiser of 9 bits with the least mean square error (the criterion of
    Max, IRE Trans Inf Theory 6:7, 1960); one of 8 bits cuts off at 3.9.
    """
    grid = np.arange(1, round(6 * spread * STEPS_PER_UNIT)) / STEPS_PER_UNIT
    often = (1e9 * np.exp(-0.5 * (grid / spread) ** 2)).astype(int)
    bound = bound_of([(value, int(n)) for value, n in zip(grid, often, strict=True)])
    assert 4.1 < bound / spread < 4.7


def test_values_spread_evenly_are_not_cut_off() -> None:
    assert bound_of([(n / 16, 1) for n in range(65)]) == pytest.approx(4, abs=0.05)


def test_one_value_in_a_billion_is_cut_off() -> None:
    assert bound_of([*((n / 16, 10**8) for n in range(65)), (40.0, 1)]) < 5


def test_a_value_that_is_common_is_kept() -> None:
    assert bound_of([*((n / 16, 100) for n in range(65)), (40.0, 1000)]) > 39


@pytest.fixture
def network(tmp_path: Path, tiny: TrainingConfig, finished: Callable[..., Checkpoint]) -> Path:
    """A published endosteal network that was not trained."""
    torch.manual_seed(0)
    config = tiny.model_copy(update={"role": "endosteal", "channels": (4, 4, 8, 8, 8)})
    finished(config, VNet(config.channels), "2 tubes").save(tmp_path / "checkpoint.pt")
    publish(tmp_path, tmp_path / "endosteal.onnx")
    return tmp_path / "endosteal.onnx"


@pytest.fixture
def case(tmp_path: Path, make_case: Callable[..., TrainingCase]) -> Path:
    """Smaller than a window."""
    return make_case().save(tmp_path)


def test_the_head_the_transposed_convolutions_and_what_may_be_negative_are_left_out(
    network: Path, case: Path
) -> None:
    names = [name for name, _ in calibrate(network, [case]).int8_bounds]

    assert names == list(tensors_for_int8(onnx.load(str(network)).graph))
    assert len(names) == len(set(names)) == 20
    assert not {"/Mul_output_0", "/network/first/Add_output_0"} & set(names)
    assert not [name for name in names if "decoder" in name and name.endswith("/Add_output_0")]


def test_a_calibrated_file_keeps_its_weights_and_the_rest_of_its_contract(
    network: Path, case: Path
) -> None:
    before, weights = read_model(network).contract, weights_sha256(network)

    told = calibrate(network, [case])

    after = read_model(network).contract
    assert after == told != before
    assert after.model_copy(update={"int8_bounds": ()}) == before
    assert weights_sha256(network) == weights


def test_bounds_are_those_of_what_the_network_sees_in_the_cascade(
    network: Path, case: Path, tmp_path: Path
) -> None:
    """Outside the mask it sees one value, so HU there change nothing."""
    bounds = calibrate(network, [case]).int8_bounds
    with np.load(case) as arrays:
        loud = dict(arrays)
    loud["hu"][loud["periosteal"] == 0] = 1400
    np.savez(tmp_path / "loud_left.npz", **loud)
    assert calibrate(network, [tmp_path / "loud_left.npz"]).int8_bounds == bounds


def test_no_case_to_calibrate_on_is_refused(network: Path) -> None:
    with pytest.raises(CaseError, match="no case file to calibrate on"):
        calibrate(network, [])


def test_a_file_without_contract_is_refused(network: Path, case: Path) -> None:
    model = onnx.load(str(network))
    del model.metadata_props[:]
    onnx.save(model, str(network))
    with pytest.raises(ModelError, match=r"endosteal\.onnx holds no contract of this femurct"):
        calibrate(network, [case])


def test_what_is_no_onnx_or_is_missing_is_refused_and_left(tmp_path: Path, case: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("not a network")
    for path in (text, tmp_path / "nowhere.onnx"):
        with pytest.raises(ModelError, match=r"\.onnx is missing or is no ONNX file"):
            calibrate(path, [case])
    assert text.read_text() == "not a network"


def test_a_network_with_nothing_for_int8_is_refused_and_left(
    network: Path, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_export.calibration.KERNEL", [5, 5, 5])
    before = network.read_bytes()
    with pytest.raises(ModelError, match="no 3x3x3 convolution whose input is never below 0"):
        calibrate(network, [case])
    assert network.read_bytes() == before
