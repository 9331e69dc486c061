import math

import numpy as np
import pytest

from service.domain.confidence import FemurConfidence, SurfaceConfidence
from service.domain.findings import FlagCode, Severity
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import ProbabilityMap
from service.domain.model_contract import DiceFit, ModelContract
from service.pipeline.cascade import Networks, Surface
from service.pipeline.confidence import (
    doubts,
    expected_dice,
    femur_confidence,
    surface_entropy_bits,
)
from service.pipeline.masks import OtsuThreshold
from tests.builders.threshold_networks import ThresholdNetwork

A_TENTH = DiceFit(intercept=math.log(0.1), slope=1.0, cases=12, correlation=0.9)
"""Expects 1 - DSC of a tenth of the entropy."""


def surface(inside: float, outside: float, threshold: float = 0.5) -> Surface:
    """The lower half, six of twelve slices, with one probability inside and one outside."""
    values = np.full((12, 8, 8), outside, dtype=np.float32)
    values[:6] = inside
    grid = VolumeGeometry.axis_aligned((12, 8, 8), SpacingMm(1.0, 1.0, 1.0))
    mask = np.zeros((12, 8, 8), dtype=bool)
    mask[:6] = True
    confident = 0.2 <= threshold <= 0.8
    return Surface(ProbabilityMap(values, grid), OtsuThreshold(threshold, confident), mask)


def networks(fit: DiceFit | None) -> Networks:
    """Of which only the contracts are used."""
    return Networks(
        ThresholdNetwork(ModelContract(role="periosteal", dice_fit=fit), 0.0, 1.0),
        ThresholdNetwork(ModelContract(role="endosteal", dice_fit=None), 0.0, 1.0),
    )


def confidence(dice: float | None) -> FemurConfidence:
    return FemurConfidence(
        periosteal=SurfaceConfidence(entropy_bits=0.1, expected_dice=dice), endosteal=None
    )


@pytest.mark.parametrize(
    ("inside", "outside", "bits"),
    [
        (1.0, 0.0, 0.0),
        (0.5001, 0.5, 1.0),
        # -(1/4 log2 1/4 + 3/4 log2 3/4)
        (0.75, 0.25, 0.811278),
        # two slices in doubt, two sure
        (0.75, 0.0, 0.405639),
    ],
)
def test_the_entropy_is_that_of_the_probabilities_near_the_surface(
    inside: float, outside: float, bits: float
) -> None:
    assert surface_entropy_bits(surface(inside, outside)) == pytest.approx(bits, abs=1e-5)


def test_doubt_far_from_the_surface_does_not_count() -> None:
    sure = surface(1.0, 0.0)
    values = sure.probabilities.values.copy()
    values[[0, 1, 2, 3, 8, 9, 10, 11]] = 0.5
    far = Surface(ProbabilityMap(values, sure.probabilities.geometry), sure.threshold, sure.mask)
    assert surface_entropy_bits(far) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("filled", [False, True])
def test_without_a_surface_there_is_no_doubt(filled: bool) -> None:
    half = surface(0.5, 0.5)
    mask = np.full(half.mask.shape, filled)
    assert surface_entropy_bits(Surface(half.probabilities, half.threshold, mask)) == 0.0


@pytest.mark.parametrize(("bits", "dice"), [(0.5, 0.95), (0.1, 0.99), (0.0, 1 - 1e-5)])
def test_the_fit_turns_entropy_into_an_expected_dice(bits: float, dice: float) -> None:
    assert expected_dice(bits, A_TENTH) == pytest.approx(dice)


def test_an_expected_dice_is_never_below_0() -> None:
    hopeless = DiceFit(intercept=5.0, slope=1.0, cases=12, correlation=0.9)
    assert expected_dice(1.0, hopeless) == 0.0


def test_a_network_without_a_fit_expects_nothing() -> None:
    unsure, sure = surface(0.75, 0.25), surface(1.0, 0.0)
    found = femur_confidence(networks(A_TENTH), unsure, sure)
    assert found.periosteal.expected_dice == pytest.approx(1 - 0.0811278)
    assert found.endosteal is not None
    assert found.endosteal.expected_dice is None
    assert femur_confidence(networks(None), unsure, None).endosteal is None


def test_the_endosteal_dice_is_expected_by_both_surfaces_entropies() -> None:
    unsure, less_so = surface(0.75, 0.25), surface(0.75, 0.0)
    fitted = ThresholdNetwork(ModelContract(role="endosteal", dice_fit=A_TENTH), 0.0, 1.0)
    found = femur_confidence(Networks(networks(None).periosteal, fitted), unsure, less_so)
    assert found.endosteal is not None
    assert found.endosteal.entropy_bits == pytest.approx(0.405639, abs=1e-5)
    assert found.endosteal.expected_dice == pytest.approx(1 - 0.0811278 - 0.0405639, abs=1e-5)


def test_with_metal_the_entropy_stands_and_no_dice_is_expected() -> None:
    unsure = surface(0.75, 0.25)
    fitted = ThresholdNetwork(ModelContract(role="endosteal", dice_fit=A_TENTH), 0.0, 1.0)
    both = Networks(networks(A_TENTH).periosteal, fitted)
    found = femur_confidence(both, unsure, unsure, has_metal=True)
    assert found.endosteal is not None
    for own in (found.periosteal, found.endosteal):
        assert own.entropy_bits == pytest.approx(0.811278, abs=1e-5)
        assert own.expected_dice is None


def test_a_low_expected_dice_is_flagged_with_its_value() -> None:
    sure = surface(1.0, 0.0)
    assert doubts(confidence(0.96), sure, sure) == ()
    (flag,) = doubts(confidence(0.93), sure, sure)
    assert (flag.code, flag.severity) == (FlagCode.LOW_CONFIDENCE, Severity.WARNING)
    assert "a Dice of 0.93 is expected" in flag.message


def test_a_threshold_far_from_the_middle_is_flagged() -> None:
    (flag,) = doubts(confidence(None), surface(1.0, 0.0, threshold=0.9), surface(1.0, 0.0))
    assert flag.code is FlagCode.LOW_CONFIDENCE
    assert "periosteal probabilities is 0.90" in flag.message


def test_a_missing_endosteal_surface_is_an_error() -> None:
    (flag,) = doubts(confidence(None), surface(1.0, 0.0), None)
    assert (flag.code, flag.severity) == (FlagCode.ENDOSTEAL_NOT_FOUND, Severity.ERROR)
