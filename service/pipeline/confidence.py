"""How far the networks can be trusted with one femur: probabilities near its surfaces -> doubt.

A network that is sure steps from 0 to 1 within a voxel; where it is not, probabilities linger in
between. Their entropy near the surface predicts the Dice coefficient: of nine measures tried,
among them the disagreement of overlapping windows, it predicted best (docs/evaluation.md). The
relation is fitted to cases with a reference, and each network file carries its own.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from service.domain.confidence import FemurConfidence, SurfaceConfidence
from service.domain.findings import FlagCode, QualityFlag, Severity
from service.domain.model_contract import DiceFit
from service.pipeline.cascade import Networks, Surface, box_around

SHELL_VOXELS = 2
"""How far from the surface, on the networks' grid, probabilities count."""

LEAST_EXPECTED_DICE = 0.95
"""Of either surface; less sets LOW_CONFIDENCE. The paper's worst group of femurs has 0.96."""

SMALLEST_ENTROPY_BITS = 1e-4
"""Where a network is never in doubt; keeps the logarithm finite."""


def surface_entropy_bits(surface: Surface) -> float:
    """Mean binary entropy of the probabilities within ``SHELL_VOXELS`` of the surface.

    Where the mask meets the end of the grid there is no surface.

    Returns:
        0 (sure) to 1 bit; 0 where the mask is empty or fills the grid.
    """
    if not surface.mask.any():
        return 0.0
    box = box_around(surface.mask)
    mask = surface.mask[box.slices].view(np.uint8)
    reach = 2 * SHELL_VOXELS + 1
    near_inside = ndimage.maximum_filter(mask, reach, mode="nearest") > 0
    near_outside = ndimage.minimum_filter(mask, reach, mode="nearest") == 0
    p = surface.probabilities.values[box.slices][near_inside & near_outside].astype(np.float64)
    if not p.size:
        return 0.0
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return float(-np.mean(p * np.log2(p) + (1 - p) * np.log2(1 - p)))


def endosteal_doubt_bits(periosteal_entropy: float, endosteal_entropy: float) -> float:
    """What the endosteal Dice is expected by: the sum of both surfaces' entropies.

    The endosteal surface is sought inside the periosteal mask, so that an error of the mask is one
    of it, too, which the second network cannot know of.
    """
    return periosteal_entropy + endosteal_entropy


def expected_dice(doubt_bits: float, fit: DiceFit) -> float:
    """What the fit predicts: ``ln(1 - DSC) = intercept + slope x ln(doubt)``, 0-1."""
    error = fit.intercept + fit.slope * math.log(max(doubt_bits, SMALLEST_ENTROPY_BITS))
    return max(0.0, 1.0 - math.exp(error))


def femur_confidence(
    networks: Networks, outer: Surface, inner: Surface | None, has_metal: bool = False
) -> FemurConfidence:
    """Of both surfaces of one femur; the endosteal one's is None where none was found.

    With metal in the crop no Dice is expected: the fits are of scans without it, and the networks
    are sure of its sharp edges.
    """

    def of(entropy: float, doubt: float, fit: DiceFit | None) -> SurfaceConfidence:
        dice = None if fit is None or has_metal else expected_dice(doubt, fit)
        return SurfaceConfidence(entropy_bits=entropy, expected_dice=dice)

    bits = surface_entropy_bits(outer)
    periosteal = of(bits, bits, networks.periosteal.contract.dice_fit)
    if inner is None:
        return FemurConfidence(periosteal=periosteal, endosteal=None)
    inner_bits = surface_entropy_bits(inner)
    doubt = endosteal_doubt_bits(bits, inner_bits)
    endosteal = of(inner_bits, doubt, networks.endosteal.contract.dice_fit)
    return FemurConfidence(periosteal=periosteal, endosteal=endosteal)


def doubts(
    confidence: FemurConfidence, outer: Surface, inner: Surface | None
) -> tuple[QualityFlag, ...]:
    """LOW_CONFIDENCE by Otsu's threshold or by the expected Dice; ENDOSTEAL_NOT_FOUND.

    Args:
        confidence: of these surfaces.
        outer: the periosteal surface.
        inner: the endosteal surface; None where none was found or none is delivered.
    """
    flags = []
    if inner is None:
        flags.append(
            QualityFlag(
                code=FlagCode.ENDOSTEAL_NOT_FOUND,
                severity=Severity.ERROR,
                message="no endosteal surface was found, so cortical and trabecular volumes "
                "are unknown; check the contours",
            )
        )
    for name, surface, own in (
        ("periosteal", outer, confidence.periosteal),
        ("endosteal", inner, confidence.endosteal),
    ):
        if surface is not None and not surface.threshold.is_confident:
            flags.append(
                _low_confidence(
                    f"Otsu's threshold of the {name} probabilities is "
                    f"{surface.threshold.value:.2f}, outside 0.2-0.8"
                )
            )
        expected = own.expected_dice if own else None
        if surface is not None and expected is not None and expected < LEAST_EXPECTED_DICE:
            flags.append(
                _low_confidence(
                    f"the networks are unsure of the {name} surface: a Dice of {expected:.2f} is "
                    f"expected, {LEAST_EXPECTED_DICE} is wanted"
                )
            )
    return tuple(flags)


def _low_confidence(reason: str) -> QualityFlag:
    return QualityFlag(
        code=FlagCode.LOW_CONFIDENCE,
        severity=Severity.WARNING,
        message=f"{reason}; check the contours",
    )
