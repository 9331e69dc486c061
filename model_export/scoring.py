"""One network on whole cases, as production runs it: sliding window, Otsu, largest component."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from model_export.cases import TRUST_BOTH, TRUST_PERIOSTEAL, TrainingCase, load_case
from model_export.metrics import average_surface_distance_mm, dice, hausdorff95_mm
from model_export.predictor import TorchPredictor
from service.domain.findings import FemurSide
from service.domain.geometry import VolumeGeometry
from service.domain.imaging import CONTRACT_SPACING_MM, BoolArray, CroppedVolume
from service.pipeline.cascade import DEFAULT_STRIDE_Z, find_surface
from service.pipeline.masks import inside_only


class CaseScore(BaseModel):
    """How well one surface of one case was found, over the voxels whose label is trusted."""

    model_config = ConfigDict(frozen=True)

    case: str
    dice: float
    asd_mm: float
    hausdorff95_mm: float


def score_case(path: Path, predictor: TorchPredictor) -> CaseScore:
    """Scores one network alone: the endosteal one is given the reference's periosteal mask.

    Args:
        path: a case file.
        predictor: of either role. A network of the masked CT sees the CT inside the reference
            periosteal mask and its find is kept within; one of the cropped CT sees all of it.
    """
    case = load_case(path)
    found = find_mask(case, predictor)
    endosteal = predictor.config.role == "endosteal"
    reference = np.asarray(case.endosteal if endosteal else case.periosteal) > 0
    counted = np.asarray(case.trust) >= (TRUST_BOTH if endosteal else TRUST_PERIOSTEAL)
    return CaseScore(
        case=case.name,
        dice=dice(found, reference, counted),
        asd_mm=average_surface_distance_mm(found, reference, CONTRACT_SPACING_MM, counted),
        hausdorff95_mm=hausdorff95_mm(found, reference, CONTRACT_SPACING_MM, counted),
    )


def find_mask(case: TrainingCase, predictor: TorchPredictor) -> BoolArray:
    """The network's mask of a whole case, bool ``[z, y, x]``; all false where it saw nothing."""
    grid = VolumeGeometry.axis_aligned(case.hu.shape, CONTRACT_SPACING_MM)
    crop = CroppedVolume(FemurSide.LEFT, case.hu.astype(np.float32), grid)
    config, inside = predictor.config, np.asarray(case.periosteal) > 0
    masked = config.role == "endosteal" and config.endosteal_input == "masked"
    if masked:
        crop = inside_only(crop, inside, predictor.contract.outside_hu)
    surface = find_surface(crop, predictor, DEFAULT_STRIDE_Z, lambda: None)
    if surface is None:
        return np.zeros(case.hu.shape, dtype=np.bool_)
    return surface.mask & inside if masked else surface.mask


def mean_dice(scores: Sequence[CaseScore]) -> float:
    """Mean DSC of at least one case."""
    return statistics.fmean(score.dice for score in scores)


def write_scores(scores: Iterable[CaseScore], path: Path) -> None:
    """One row per case as CSV, in place when whole."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(CaseScore.model_fields))
        writer.writeheader()
        writer.writerows(score.model_dump() for score in scores)
    partial.replace(path)


def read_scores(path: Path) -> tuple[CaseScore, ...]:
    """Rows written by ``write_scores``."""
    with path.open(newline="") as file:
        return tuple(CaseScore.model_validate(row) for row in csv.DictReader(file))


def markdown_row(scores: Sequence[CaseScore]) -> str:
    """Cases, DSC mean and smallest, ASD and HD95 means, as cells of a Markdown table."""
    smallest = min(score.dice for score in scores)
    asd = statistics.fmean(score.asd_mm for score in scores)
    hausdorff = statistics.fmean(score.hausdorff95_mm for score in scores)
    return (
        f"{len(scores)} | {mean_dice(scores):.4f} | {smallest:.4f} | {asd:.3f} | {hausdorff:.2f} |"
    )


MARKDOWN_COLUMNS = "cases | DSC mean | DSC min | ASD mm | HD95 mm |"
MARKDOWN_RULE = "--- | --- | --- | --- | --- |"
