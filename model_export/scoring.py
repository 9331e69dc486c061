"""One surface on whole cases, as production finds it: sliding window, Otsu, largest component."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import numpy as np

from model_export.cases import TrainingCase, load_case
from model_export.evaluation import Cascade, SurfaceScore, cropped, score_surface
from model_export.predictor import TorchPredictor
from service.domain.geometry import FloatArray
from service.domain.imaging import BoolArray
from service.pipeline.cascade import find_surface
from service.pipeline.masks import inside_only


@dataclass(frozen=True)
class CaseScore:
    """How well one surface of one case was found; None where its reference may not be trusted."""

    case: str
    surface: SurfaceScore | None


def score_alone(path: Path, predictor: TorchPredictor) -> CaseScore:
    """Scores one network by itself.

    Args:
        path: a case file.
        predictor: of either role. A network of the masked CT sees the CT inside the reference's
            periosteal mask and its find is kept within; one of the cropped CT sees all of it.
    """
    case = load_case(path)
    found = find_mask(case, predictor)
    return CaseScore(case.name, score_surface(case, predictor.config.role, found))


def score_endosteal(path: Path, cascade: Cascade) -> CaseScore:
    """Scores the endosteal surface as the cascade delivers it, with the periosteal mask it found.

    Args:
        path: a case file.
        cascade: both networks and what the second one sees.
    """
    case = load_case(path)
    found = cascade.segment(case, lambda: None)
    return CaseScore(case.name, score_surface(case, "endosteal", found.masks.endosteal))


def find_mask(case: TrainingCase, predictor: TorchPredictor) -> BoolArray:
    """The network's mask of a whole case, bool ``[z, y, x]``; all false where it saw nothing."""
    crop = cropped(case)
    config, inside = predictor.config, np.asarray(case.periosteal) > 0
    masked = config.role == "endosteal" and config.endosteal_input == "masked"
    if masked:
        crop = inside_only(crop, inside, predictor.contract.outside_hu)
    surface = find_surface(crop, predictor, None, lambda: None)
    if surface is None:
        return np.zeros(case.hu.shape, dtype=np.bool_)
    return surface.mask & inside if masked else surface.mask


def scored(scores: Iterable[CaseScore]) -> tuple[SurfaceScore, ...]:
    """The scores of the cases whose reference may be trusted."""
    return tuple(score.surface for score in scores if score.surface is not None)


def mean_dice(scores: Sequence[CaseScore]) -> float:
    """Mean DSC over the cases that have one, of which there is at least one."""
    return statistics.fmean(score.dice for score in scored(scores))


MEASURES = tuple(field.name for field in fields(SurfaceScore))


def write_scores(scores: Iterable[CaseScore], path: Path) -> None:
    """One row per case as CSV, in place when whole; cells of a case not scored are empty."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["case", *MEASURES])
        writer.writeheader()
        for score in scores:
            measures = asdict(score.surface) if score.surface else {}
            writer.writerow({"case": score.case, **measures})
    partial.replace(path)


def read_scores(path: Path) -> tuple[CaseScore, ...]:
    """Rows written by ``write_scores``."""
    with path.open(newline="") as file:
        return tuple(
            CaseScore(
                row["case"],
                SurfaceScore(*(float(row[name]) for name in MEASURES)) if row["dice"] else None,
            )
            for row in csv.DictReader(file)
        )


def markdown_row(scores: Sequence[CaseScore]) -> str:
    """``MARKDOWN_COLUMNS`` of some cases: means of what is finite."""
    known = scored(scores)
    values = np.array([astuple(score) for score in known]).reshape(-1, len(MEASURES))
    dice, asd, specificity, sensitivity, hausdorff, surface = values.T
    cells = (
        f"{len(known)} of {len(scores)}",
        _mean(dice, 4),
        f"{dice.min():.4f}" if dice.size else "-",
        _mean(asd, 3),
        _mean(specificity, 4),
        _mean(sensitivity, 4),
        _mean(hausdorff, 2),
        _mean(surface, 4),
        str(int(np.isinf(asd).sum())),
    )
    return " | ".join(cells) + " |"


def _mean(values: FloatArray, digits: int) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.mean():.{digits}f}" if finite.size else "-"


MARKDOWN_COLUMNS = (
    "scored | DSC mean | DSC min | ASD mm | SP | SN | HD95 mm | surface Dice | not found |"
)
MARKDOWN_RULE = "--- | " * 8 + "--- |"
MARKDOWN_NOTE = (
    "Measures and what counts are those of `evaluate` (docs/evaluation.md). A case whose reference "
    "may not be trusted is not scored; a surface not found has no distance."
)
