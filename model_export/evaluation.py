"""The paper's evaluation (section 2.4): the production cascade on cases, scored by reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model_export.cases import TRUST_BOTH, TRUST_PERIOSTEAL, Kind, TrainingCase
from model_export.config import Role
from model_export.metrics import (
    average_surface_distance_mm,
    dice,
    hausdorff95_mm,
    paper_crop,
    sensitivity,
    specificity,
    surface_dice,
)
from model_export.volumes import TARGETS, divided, neck_slab, target_volumes_cm3, trusted_targets
from service.domain.findings import FemurSide
from service.domain.geometry import CONTRACT_SPACING_MM, VolumeGeometry
from service.domain.imaging import BoolArray, CroppedVolume, FemurMasks
from service.pipeline.cascade import (
    Networks,
    delivered_masks,
    find_surface,
    is_femur,
    masked_crop,
)
from service.pipeline.confidence import surface_entropy_bits
from service.pipeline.probabilities import plan_windows

EndostealInput = Literal["masked", "cropped"]
"""What the endosteal network sees: the CT inside the periosteal mask, as in production, or the
cropped CT, the paper's comparison (section 5: DSC 0.9256 against 0.9649)."""

SURFACE_TOLERANCE_MM = 1.0
"""Of the surface Dice: about one voxel."""

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class FoundFemur:
    """The delivered masks, and the networks' doubt near each surface; NaN where none was found."""

    masks: FemurMasks
    periosteal_entropy_bits: float = NAN
    endosteal_entropy_bits: float = NAN


@dataclass(frozen=True)
class Cascade:
    """What is evaluated."""

    networks: Networks
    stride_z: int | None = None
    endosteal_input: EndostealInput = "masked"

    def windows(self, case: TrainingCase) -> int:
        """Windows that a case takes at most; the masked CT of a small femur takes fewer."""
        crop = cropped(case)
        networks = (self.networks.periosteal, self.networks.endosteal)
        return sum(len(plan_windows(crop, n.contract, self.stride_z).boxes) for n in networks)

    def segment(self, case: TrainingCase, after_window: Callable[[], None]) -> FoundFemur:
        """What production would deliver on the case's grid; empty where it finds no femur."""
        grid = grid_of(case)
        crop = cropped(case)
        outer = find_surface(crop, self.networks.periosteal, self.stride_z, after_window)
        if outer is None or not is_femur(outer):
            nothing = np.zeros(grid.shape_zyx, dtype=np.bool_)
            return FoundFemur(FemurMasks(FemurSide.LEFT, nothing, nothing.copy(), grid))
        endosteal = self.networks.endosteal
        if self.endosteal_input == "masked":
            crop = masked_crop(crop, outer, endosteal.contract.outside_hu)
        inner = find_surface(crop, endosteal, self.stride_z, after_window)
        masks = delivered_masks(outer, inner, FemurSide.LEFT, grid)
        entropies = (NAN if s is None else surface_entropy_bits(s) for s in (outer, inner))
        return FoundFemur(masks, *entropies)


@dataclass(frozen=True)
class SurfaceScore:
    """How well one surface agrees with its reference; see ``metrics`` for each."""

    dice: float
    asd_mm: float
    specificity: float
    sensitivity: float
    hausdorff95_mm: float
    surface_dice: float


@dataclass(frozen=True)
class FemurScore:
    """One case against its reference.

    Attributes:
        name, kind: of the case.
        periosteal, endosteal: None where no voxel of the reference surface may be trusted.
        true_cm3, found_cm3: in the order of ``TARGETS``; NaN where not measured or not trusted.
        seconds: from the cropped CT to both masks.
        periosteal_entropy_bits, endosteal_entropy_bits: see ``surface_entropy_bits``; NaN where the
            surface was not found.
    """

    name: str
    kind: Kind
    periosteal: SurfaceScore | None
    endosteal: SurfaceScore | None
    true_cm3: tuple[float, ...]
    found_cm3: tuple[float, ...]
    seconds: float
    periosteal_entropy_bits: float = NAN
    endosteal_entropy_bits: float = NAN

    def __post_init__(self) -> None:
        if not len(self.true_cm3) == len(self.found_cm3) == len(TARGETS):
            raise ValueError(f"need {len(TARGETS)} volumes, one for each target")


def cropped(case: TrainingCase) -> CroppedVolume:
    """What the periosteal network looks at."""
    return CroppedVolume(FemurSide.LEFT, case.hu.astype(np.float32), grid_of(case))


def grid_of(case: TrainingCase) -> VolumeGeometry:
    """The case's grid as that of a left femur in the patient."""
    z, y, x = case.hu.shape
    return VolumeGeometry.axis_aligned((z, y, x), CONTRACT_SPACING_MM)


def reference_masks(case: TrainingCase) -> FemurMasks:
    """Both surfaces of the case's reference."""
    outer, inner = (np.asarray(a, dtype=np.bool_) for a in (case.periosteal, case.endosteal))
    return FemurMasks(FemurSide.LEFT, outer, inner, grid_of(case))


def evaluate_case(
    case: TrainingCase, cascade: Cascade, after_window: Callable[[], None]
) -> tuple[FemurMasks, FemurScore]:
    """Segment a case and score it."""
    start = time.perf_counter()
    found = cascade.segment(case, after_window)
    return found.masks, score(case, found, time.perf_counter() - start)


def score(case: TrainingCase, femur: FoundFemur, seconds: float) -> FemurScore:
    """Score masks against a case's reference where that may be trusted."""
    found = femur.masks
    reference = reference_masks(case)
    whole = divided(reference)
    slab = neck_slab(whole)
    true_cm3 = target_volumes_cm3(whole, slab)
    found_cm3 = target_volumes_cm3(divided(found), slab)
    trusted = trusted_targets(whole, slab, case.trust)
    return FemurScore(
        name=case.name,
        kind=case.kind,
        periosteal=score_surface(case, "periosteal", found.periosteal),
        endosteal=score_surface(case, "endosteal", found.endosteal),
        true_cm3=tuple(v if t else NAN for v, t in zip(true_cm3, trusted, strict=True)),
        found_cm3=tuple(v if t else NAN for v, t in zip(found_cm3, trusted, strict=True)),
        seconds=seconds,
        periosteal_entropy_bits=femur.periosteal_entropy_bits,
        endosteal_entropy_bits=femur.endosteal_entropy_bits,
    )


def score_surface(case: TrainingCase, role: Role, found: BoolArray) -> SurfaceScore | None:
    """Scores of one surface over the voxels that ``trusted_reference`` counts.

    Args:
        case: with the reference.
        role: which surface.
        found: bool ``[z, y, x]`` on the case's grid; may be empty.

    Returns:
        None where no voxel of the reference surface's inside may be trusted.
    """
    trusted = trusted_reference(case, role)
    if trusted is None:
        return None
    reference, counted = trusted
    crop = paper_crop(np.asarray(case.periosteal, dtype=np.bool_))
    spacing = CONTRACT_SPACING_MM
    return SurfaceScore(
        dice=dice(found, reference, counted),
        asd_mm=average_surface_distance_mm(found, reference, spacing, counted),
        specificity=specificity(found[crop], reference[crop], counted[crop]),
        sensitivity=sensitivity(found, reference, counted),
        hausdorff95_mm=hausdorff95_mm(found, reference, spacing, counted),
        surface_dice=surface_dice(found, reference, spacing, SURFACE_TOLERANCE_MM, counted),
    )


def trusted_reference(case: TrainingCase, role: Role) -> tuple[BoolArray, BoolArray] | None:
    """A surface's reference mask and the voxels that count, whose label may be trusted.

    The case's outermost voxels do not count: where bone goes on outside, both masks are cut there,
    and the cut faces would count as perfect surface.

    Returns:
        Both bool ``[z, y, x]``; None where no voxel inside the reference surface counts.
    """
    if role == "periosteal":
        labels, needed = case.periosteal, TRUST_PERIOSTEAL
    else:
        labels, needed = case.endosteal, TRUST_BOTH
    reference = np.asarray(labels, dtype=np.bool_)
    inner = (slice(1, -1),) * 3
    counted: BoolArray = np.zeros(reference.shape, dtype=np.bool_)
    counted[inner] = np.asarray(case.trust)[inner] >= needed
    return (reference, counted) if (reference & counted).any() else None
