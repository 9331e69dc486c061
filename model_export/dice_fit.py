"""What the networks' doubt near a surface says of its Dice: fitted to an evaluation, and kept.

``evaluate`` writes ``dice_fits.json``; ``export --dice-fits`` puts the fit into the network's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from model_export.case_sets import subject_of
from model_export.cases import CaseError
from model_export.config import Role
from model_export.evaluation import FemurScore
from service.domain.model_contract import DiceFit
from service.pipeline.confidence import (
    SMALLEST_ENTROPY_BITS,
    endosteal_doubt_bits,
    expected_dice,
)

LEAST_CASES = 10
"""Two numbers are fitted; fewer femurs would not tell how well."""

LEAST_CORRELATION = 0.5
"""Below, doubt says too little of the Dice to expect one from it."""

SMALLEST_ERROR = 1e-4
"""Of ``1 - DSC``; keeps the logarithm finite."""


class NetworkFit(BaseModel):
    """The fit of one network.

    Attributes:
        weights_sha256: of the network (``onnx_export.weights_sha256``).
        fit: null where too few femurs were scored, or doubt and Dice are unrelated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights_sha256: str
    fit: DiceFit | None


class DiceFits(BaseModel):
    """Of both networks, and the stride they were scored at; None for the service's default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stride_z: int | None
    periosteal: NetworkFit
    endosteal: NetworkFit

    def of(self, role: Role) -> NetworkFit:
        """That of one network."""
        return self.periosteal if role == "periosteal" else self.endosteal


def doubts_and_dice(scores: Sequence[FemurScore], role: Role) -> tuple[list[float], list[float]]:
    """Doubt in bits and Dice coefficients of the femurs that have both.

    Of the periosteal surface its entropy, of the endosteal one ``endosteal_doubt_bits``.
    """
    pairs = []
    for score in scores:
        surface = score.periosteal if role == "periosteal" else score.endosteal
        doubt = score.periosteal_entropy_bits
        if role == "endosteal":
            doubt = endosteal_doubt_bits(doubt, score.endosteal_entropy_bits)
        if surface is not None and np.isfinite(doubt):
            pairs.append((doubt, surface.dice))
    return [doubt for doubt, _ in pairs], [dice for _, dice in pairs]


def fit_dice(doubts_bits: Sequence[float], dice: Sequence[float]) -> DiceFit | None:
    """Least squares of ``ln(1 - DSC)`` on ``ln(doubt)``.

    Args:
        doubts_bits: of one surface, one per femur (``doubts_and_dice``).
        dice: of the same surface, of the same femurs.

    Returns:
        None for fewer than ``LEAST_CASES`` femurs, where all have the same doubt or Dice, or
        where the two go together less than ``LEAST_CORRELATION``.
    """
    if len(dice) < LEAST_CASES:
        return None
    doubt = np.log(np.maximum(doubts_bits, SMALLEST_ENTROPY_BITS))
    error = np.log(np.maximum(1 - np.asarray(dice), SMALLEST_ERROR))
    if np.ptp(doubt) == 0 or np.ptp(error) == 0:
        return None
    slope, intercept = np.polyfit(doubt, error, 1)
    correlation = float(np.corrcoef(doubt, error)[0, 1])
    if correlation < LEAST_CORRELATION:
        return None
    return DiceFit(
        intercept=float(intercept), slope=float(slope), cases=len(dice), correlation=correlation
    )


def fit_all(
    scores: Sequence[FemurScore], weights: Mapping[Role, str], stride_z: int | None
) -> DiceFits:
    """The fits of both networks over an evaluation.

    Args:
        scores: of all femurs.
        weights: digest of each network's weights.
        stride_z: they were scored at.
    """

    def of(role: Role) -> NetworkFit:
        fit = fit_dice(*doubts_and_dice(scores, role))
        return NetworkFit(weights_sha256=weights[role], fit=fit)

    return DiceFits(stride_z=stride_z, periosteal=of("periosteal"), endosteal=of("endosteal"))


def expected_and_reached(
    scores: Sequence[FemurScore], role: Role
) -> tuple[list[float], list[float]]:
    """The Dice that the fit to all other subjects expects of each femur, and its own.

    Returns:
        Both empty where the others allow no fit.
    """
    pairs = []
    for score in scores:
        subject = subject_of(Path(score.name))
        others = [other for other in scores if subject_of(Path(other.name)) != subject]
        fit = fit_dice(*doubts_and_dice(others, role))
        if fit is not None:
            own = zip(*doubts_and_dice([score], role), strict=True)
            pairs += [(expected_dice(doubt, fit), dice) for doubt, dice in own]
    return [expected for expected, _ in pairs], [dice for _, dice in pairs]


def read_fit(path: Path, role: Role, weights_sha256: str) -> DiceFit:
    """One network's fit from a file written by ``evaluate``.

    Args:
        path: of the file.
        role: of the network.
        weights_sha256: of its weights, to which the fit must belong.

    Raises:
        CaseError: if the file is none, holds no fit of that network, or one made at another stride
            than the service's, by which doubt changes.
    """
    try:
        fits = DiceFits.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CaseError(f"{path} is no dice_fits.json of `evaluate`: {error}") from error
    if fits.stride_z is not None:
        raise CaseError(
            f"{path} holds fits made at stride {fits.stride_z}, the service runs in deep windows; "
            "evaluate without --stride-z"
        )
    found = fits.of(role)
    if found.weights_sha256 != weights_sha256:
        raise CaseError(
            f"{path} holds the fit of another {role} network: its weights are "
            f"{found.weights_sha256[:16]}, those to export {weights_sha256[:16]}; evaluate these"
        )
    if found.fit is None:
        raise CaseError(
            f"{path} holds no fit of the {role} network: fewer than {LEAST_CASES} femurs, all "
            "alike, or doubt and Dice unrelated; evaluate on more"
        )
    return found.fit


def doubt_sentences(fits: DiceFits) -> str:
    """What the evaluation's report says of them."""
    lines = [
        "How well the networks' entropy within two voxels of a surface predicts its DSC, "
        "for the endosteal surface that of both added: "
        "ln(1 - DSC) = intercept + slope x ln(entropy in bits), fitted to these femurs."
    ]
    for role, fit in (("periosteal", fits.periosteal.fit), ("endosteal", fits.endosteal.fit)):
        if fit is None:
            lines.append(
                f"- {role}: no fit: fewer than {LEAST_CASES} femurs, all alike, or unrelated"
            )
        else:
            lines.append(
                f"- {role}: {fit.cases} femurs, intercept {fit.intercept:.3f}, slope "
                f"{fit.slope:.3f}, r = {fit.correlation:.3f} (of the logarithms)"
            )
    return "\n".join(lines)
