from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model_export import scoring
from model_export.cases import TrainingCase, load_case
from model_export.config import TrainingConfig
from model_export.evaluation import Cascade, FoundFemur, SurfaceScore, grid_of, score
from model_export.scoring import (
    CaseScore,
    mean_dice,
    read_scores,
    score_alone,
    score_endosteal,
    write_scores,
)
from service.domain.findings import FemurSide
from service.domain.imaging import FemurMasks
from service.domain.model_contract import ModelContract
from service.pipeline.cascade import Networks
from tests.builders.evaluation_cases import PERFECT, block_case


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


def _surface(score: CaseScore) -> SurfaceScore:
    assert score.surface is not None
    return score.surface


@pytest.fixture
def case(tmp_path: Path, make_case: Callable[..., TrainingCase]) -> Path:
    """A tube of 12 x 12 voxels of bone with 6 x 6 of marrow, 48 slices, in water."""
    return make_case("tube_left").save(tmp_path)


def test_a_surface_found_exactly_has_dice_1_and_distance_0(case: Path, tiny: TrainingConfig):
    # bone; the marrow within is a hole that is open above and below, so marrow counts as found
    found = _surface(score_alone(case, _Threshold(tiny, -60, -40)))
    # 36 of the 144 voxels of each section: 2 x 36 / (36 + 144)
    assert found.dice == pytest.approx(0.4)
    config = tiny.model_copy(update={"role": "endosteal"})
    exact = score_alone(case, _Threshold(config, -60, -40))
    assert exact == CaseScore("tube_left", SurfaceScore(1, 0, 1, 1, 0, 1))


@pytest.mark.parametrize(("given", "sees_water"), [("masked", False), ("cropped", True)])
def test_the_endosteal_network_is_given_what_it_was_trained_on(
    case: Path, tiny: TrainingConfig, given: str, sees_water: bool
):
    config = tiny.model_copy(update={"role": "endosteal", "endosteal_input": given})
    network = _Threshold(config, -60, -40)
    score_alone(case, network)
    assert any((hu == 0).any() for hu in network.seen) is sees_water


def test_a_network_that_sees_nothing_scores_0(case: Path, tiny: TrainingConfig):
    assert _surface(score_alone(case, _Threshold(tiny, 5000, 6000))).dice == 0
    assert not scoring.find_mask(load_case(case), _Threshold(tiny, 5000, 6000)).any()


def test_only_trusted_voxels_count(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    case = make_case("half_left")
    # the upper half of the reference is emptied and not to be used
    case.periosteal[24:], case.endosteal[24:], case.trust[24:] = 0, 0, 0
    config = tiny.model_copy(update={"role": "endosteal", "endosteal_input": "cropped"})
    assert _surface(score_alone(case.save(tmp_path), _Threshold(config, -60, -40))).dice == 1


def test_in_the_cascade_the_endosteal_network_is_given_the_periosteal_find(tmp_path: Path):
    path = block_case().save(tmp_path)
    assert _surface(score_endosteal(path, Cascade(PERFECT))).dice == 1
    blind = Networks(replace(PERFECT.periosteal, above_hu=5000.0), PERFECT.endosteal)
    assert _surface(score_endosteal(path, Cascade(blind))).dice == 0


def test_a_network_is_scored_as_evaluate_scores_it(case: Path, tiny: TrainingConfig):
    loaded = load_case(case)
    network = _Threshold(tiny, -60, -40)
    mask = scoring.find_mask(loaded, network)
    masks = FemurMasks(FemurSide.LEFT, mask, mask, grid_of(loaded))
    assert score_alone(case, network).surface == score(loaded, FoundFemur(masks), 0.0).periosteal


def test_a_case_without_a_trusted_reference_is_left_out_of_the_means(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    guess = make_case("guess_left")
    guess.trust[:] = 1  # the periosteal label only
    config = tiny.model_copy(update={"role": "endosteal"})
    unscored = score_alone(guess.save(tmp_path), _Threshold(config, -60, -40))
    assert unscored == CaseScore("guess_left", None)
    exact = score_alone(make_case("b_left").save(tmp_path), _Threshold(config, -60, -40))
    assert mean_dice([unscored, exact]) == 1
    assert scoring.markdown_row([unscored, exact]).startswith("1 of 2 | 1.0000 | 1.0000 |")
    assert scoring.markdown_row([unscored]).startswith("0 of 1 | - | - |")


def test_scores_are_read_as_they_were_written(tmp_path: Path):
    far = float("inf")
    scores = (
        CaseScore("a", SurfaceScore(0.9, 0.25, 0.98, 0.97, 1.0, 0.99)),
        CaseScore("b", SurfaceScore(0.0, far, 1.0, 0.0, far, 0.0)),
        CaseScore("c", None),
    )
    write_scores(scores, tmp_path / "scores.csv")
    assert read_scores(tmp_path / "scores.csv") == scores
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]
    assert scoring.markdown_row(scores) == (
        "2 of 3 | 0.4500 | 0.0000 | 0.250 | 0.9900 | 0.4850 | 1.00 | 0.4950 | 1 |"
    )
