from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_export import scoring
from model_export.cases import TrainingCase, load_case
from model_export.config import TrainingConfig
from model_export.scoring import CaseScore, read_scores, score_case, write_scores
from service.domain.model_contract import ModelContract


class _Threshold:
    """Finds what lies within a range of HU, as a run's predictor would."""

    provider, sha256 = "test", ""

    def __init__(self, config: TrainingConfig, low: float, high: float) -> None:
        self.config, self._range = config, (low, high)
        self.contract = ModelContract(role=config.role)
        self.seen: list[npt.NDArray[np.float32]] = []

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.seen.append(hu)
        low, high = self._range
        return ((hu >= low) & (hu <= high)).astype(np.float32)


@pytest.fixture
def case(tmp_path: Path, make_case: Callable[..., TrainingCase]) -> Path:
    """A tube of 12 x 12 voxels of bone with 6 x 6 of marrow, 48 slices, in water."""
    return make_case("tube_left").save(tmp_path)


def test_a_surface_found_exactly_has_dice_1_and_distance_0(case: Path, tiny: TrainingConfig):
    # bone; the marrow within is a hole that is open above and below, so marrow counts as found
    found = score_case(case, _Threshold(tiny, -60, -40))
    # 36 of the 144 voxels of each section: 2 x 36 / (36 + 144)
    assert found.dice == pytest.approx(0.4)
    config = tiny.model_copy(update={"role": "endosteal"})
    exact = score_case(case, _Threshold(config, -60, -40))
    assert (exact.case, exact.dice, exact.asd_mm, exact.hausdorff95_mm) == ("tube_left", 1, 0, 0)


@pytest.mark.parametrize(("given", "sees_water"), [("masked", False), ("cropped", True)])
def test_the_endosteal_network_is_given_what_it_was_trained_on(
    case: Path, tiny: TrainingConfig, given: str, sees_water: bool
):
    config = tiny.model_copy(update={"role": "endosteal", "endosteal_input": given})
    network = _Threshold(config, -60, -40)
    score_case(case, network)
    assert any((hu == 0).any() for hu in network.seen) is sees_water


def test_a_network_that_sees_nothing_scores_0(case: Path, tiny: TrainingConfig):
    assert score_case(case, _Threshold(tiny, 5000, 6000)).dice == 0
    assert not scoring.find_mask(load_case(case), _Threshold(tiny, 5000, 6000)).any()


def test_only_trusted_voxels_count(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    case = make_case("half_left")
    # the upper half of the reference is emptied and not to be used
    case.periosteal[24:], case.endosteal[24:], case.trust[24:] = 0, 0, 0
    config = tiny.model_copy(update={"role": "endosteal", "endosteal_input": "cropped"})
    assert score_case(case.save(tmp_path), _Threshold(config, -60, -40)).dice == 1


def test_scores_are_read_as_they_were_written(tmp_path: Path):
    scores = (
        CaseScore(case="a", dice=0.9, asd_mm=0.25, hausdorff95_mm=1.0),
        CaseScore(case="b", dice=0.0, asd_mm=float("inf"), hausdorff95_mm=float("inf")),
    )
    write_scores(scores, tmp_path / "scores.csv")
    assert read_scores(tmp_path / "scores.csv") == scores
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]
    assert scoring.markdown_row(scores[:1]) == "1 | 0.9000 | 0.9000 | 0.250 | 1.00 |"
