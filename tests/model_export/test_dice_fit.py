import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_export.cases import CaseError
from model_export.dice_fit import (
    DiceFits,
    NetworkFit,
    doubt_sentences,
    doubts_and_dice,
    expected_and_reached,
    fit_all,
    fit_dice,
    read_fit,
)
from model_export.evaluation import FemurScore, SurfaceScore
from model_export.volumes import TARGETS

ENTROPIES = tuple(0.01 * number for number in range(2, 14))
DICE = tuple(1 - 0.5 * entropy**2 for entropy in ENTROPIES)
"""ln(1 - DSC) = ln(0.5) + 2 ln(entropy)."""

NOTHING = (float("nan"),) * len(TARGETS)


FITS = DiceFits(
    stride_z=None,
    periosteal=NetworkFit(weights_sha256="aa", fit=fit_dice(ENTROPIES, DICE)),
    endosteal=NetworkFit(weights_sha256="bb", fit=None),
)


def scored(dice: float | None, entropy: float, name: str = "case") -> FemurScore:
    surface = None if dice is None else SurfaceScore(dice, 1.0, 1.0, 1.0, 1.0, 1.0)
    return FemurScore(name, "phantom", surface, None, NOTHING, NOTHING, 1.0, entropy)


def test_a_power_law_is_found_again() -> None:
    fit = fit_dice(ENTROPIES, DICE)
    assert fit is not None
    assert fit.intercept == pytest.approx(math.log(0.5))
    assert fit.slope == pytest.approx(2.0)
    assert (fit.cases, fit.correlation) == (12, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("entropies", "dice"),
    [
        (ENTROPIES[:9], DICE[:9]),
        (ENTROPIES, (0.9,) * 12),
        ((0.1,) * 12, DICE),
        ((), ()),
        (ENTROPIES, DICE[::-1]),
    ],
)
def test_too_few_femurs_all_alike_or_the_wrong_way_round_give_no_fit(
    entropies: tuple[float, ...], dice: tuple[float, ...]
) -> None:
    assert fit_dice(entropies, dice) is None


def test_only_femurs_that_were_found_and_scored_count() -> None:
    scores = [scored(0.9, 0.2), scored(None, 0.3), scored(0.0, float("nan"))]
    assert doubts_and_dice(scores, "periosteal") == ([0.2], [0.9])
    assert doubts_and_dice(scores, "endosteal") == ([], [])


def test_an_endosteal_surface_is_doubted_by_both_entropies() -> None:
    inner = SurfaceScore(0.8, 1.0, 1.0, 1.0, 1.0, 1.0)
    score = replace(scored(0.9, 0.2), endosteal=inner, endosteal_entropy_bits=0.3)
    assert doubts_and_dice([score], "endosteal") == ([0.5], [0.8])


def test_a_perfect_and_sure_femur_does_not_break_the_fit() -> None:
    fit = fit_dice((0.0, *ENTROPIES), (1.0, *DICE))
    assert fit is not None
    assert np.isfinite((fit.intercept, fit.slope)).all()


def test_a_fit_is_read_back_for_its_network(tmp_path: Path) -> None:
    path = tmp_path / "dice_fits.json"
    path.write_text(FITS.model_dump_json())
    assert read_fit(path, "periosteal", "aa") == FITS.periosteal.fit
    with pytest.raises(CaseError, match="no fit of the endosteal network"):
        read_fit(path, "endosteal", "bb")
    path.write_text("{}")
    with pytest.raises(CaseError, match="of `evaluate`"):
        read_fit(path, "periosteal", "aa")
    with pytest.raises(CaseError, match="of `evaluate`"):
        read_fit(tmp_path / "missing.json", "periosteal", "aa")


def test_the_fit_of_a_network_of_other_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dice_fits.json"
    path.write_text(FITS.model_dump_json())
    with pytest.raises(CaseError, match=r"another periosteal network: its weights are aa, .* cc;"):
        read_fit(path, "periosteal", "cc")


def test_a_fit_made_at_another_stride_than_the_service_s_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dice_fits.json"
    path.write_text(FITS.model_copy(update={"stride_z": 16}).model_dump_json())
    with pytest.raises(CaseError, match="made at stride 16, the service runs in deep windows"):
        read_fit(path, "periosteal", "aa")


def test_each_fit_is_written_with_its_network_and_the_stride() -> None:
    scores = [scored(dice, entropy) for dice, entropy in zip(DICE, ENTROPIES, strict=True)]
    assert fit_all(scores, {"periosteal": "aa", "endosteal": "bb"}, None) == FITS


def test_what_is_expected_of_a_femur_follows_from_other_subjects_only() -> None:
    pairs = zip(DICE, ENTROPIES, strict=True)
    scores = [scored(dice, entropy, f"{n}_left") for n, (dice, entropy) in enumerate(pairs)]
    scores.append(scored(0.99, 0.05, "0_right"))  # off the law that all others follow
    expected, reached = expected_and_reached(scores, "periosteal")
    assert reached == [*DICE, 0.99]
    # both femurs of subject 0 are foretold by the law of the other eleven
    assert expected[0] == pytest.approx(DICE[0])
    assert expected[-1] == pytest.approx(1 - 0.5 * 0.05**2)
    assert expected_and_reached(scores[:10], "periosteal") == ([], [])
    assert expected_and_reached(scores, "endosteal") == ([], [])


def test_the_report_says_which_fit_there_is() -> None:
    sentences = doubt_sentences(FITS)
    assert "- periosteal: 12 femurs, intercept -0.693, slope 2.000, r = 1.000" in sentences
    assert "- endosteal: no fit: fewer than 10 femurs, all alike, or unrelated" in sentences
