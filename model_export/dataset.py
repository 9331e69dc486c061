"""Training and validation patches, each a pure function of the seed and its number.

No generator's state needs saving: patch 17 of a run is the same whether the run was resumed or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model_export.augmentation import (
    change_appearance,
    perturb_surface,
    random_matrix,
    source_size,
    warp,
)
from model_export.case_sets import used_by
from model_export.cases import (
    TRUST_BOTH,
    TRUST_PERIOSTEAL,
    CaseError,
    Kind,
    TrainingCase,
    load_case,
    open_case,
)
from model_export.config import SizeZyx, TrainingConfig

OUTSIDE_HU = -500.0
"""Past a case and outside the periosteal mask (``ModelContract.outside_hu``)."""

UPPER_END_VOXELS = 90
"""Slices of 1 mm below the highest surface voxel that hold head, neck and trochanters."""

OTHER_BONE_HU = 200
"""Cortex and dense trabecular bone; muscle and unenhanced vessels stay below."""

OTHER_BONE_STEP = 4
"""Voxels between those looked at for other bone."""

CENTRE_JITTER = 0.25
"""A patch's centre lies within this share of its size from the surface voxel it was drawn for."""

LARGEST_OUTSIDE = 0.2
"""At most this share of a patch's size lies past one end of its case."""

TRUST_ROUNDING = 1e-3
"""An interpolation between ones may fall this far short of 1."""

VALIDATION_STREAM = 1_000_003
"""Keeps validation patches apart from training patches of the same number."""

PUBLIC_PREFIX = "STS_"
PUBLIC_CASES = "annotated real series"
"""How the cases of ``annotated_series`` are named and counted; their licence asks to be named."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Patch:
    """What one training step sees.

    Attributes:
        hu: float32 ``[1, 1, z, y, x]``, raw HU.
        target: int64 ``[1, z, y, x]``, 1 inside the role's surface.
        weight: float32 ``[1, z, y, x]``, 1 where the label is trusted.
        kind: of the case it was cut from.
    """

    hu: Tensor
    target: Tensor
    weight: Tensor
    kind: Kind

    def to(self, device: torch.device) -> Patch:
        """The patch on a device; itself where it already lies there."""
        return Patch(self.hu.to(device), self.target.to(device), self.weight.to(device), self.kind)


@dataclass(frozen=True, eq=False)
class _IndexedCase:
    """What is kept of a case in memory: its file and where its surface lies."""

    path: Path
    kind: Kind
    surface: npt.NDArray[np.int16]
    upper: npt.NDArray[np.int16]

    @property
    def middle_yx(self) -> npt.NDArray[np.float64]:
        """Middle of the femur's box in plane."""
        in_plane = self.surface[:, 1:].astype(np.float64)
        return np.asarray((in_plane.min(axis=0) + in_plane.max(axis=0)) / 2)


class PatchSource:
    """Random patches of some cases.

    Args:
        paths: files of ``TrainingCase.save``.
        config: patch size, shares, augmentation, role and seed.

    Raises:
        CaseError: if there is no case, or only right femurs where the configuration takes none.
    """

    def __init__(self, paths: Sequence[Path], config: TrainingConfig) -> None:
        self._config = config
        cases = [_index(path) for path in used_by(config, paths)]
        if not cases:
            left_out = f"; {len(paths)} right femurs are left out" if paths else ""
            raise CaseError(f"no training case{left_out}; `prepare` writes them")
        self._real = [case for case in cases if case.kind != "phantom"]
        self._phantoms = [case for case in cases if case.kind == "phantom"]

    @property
    def count(self) -> int:
        """How many cases patches are drawn from."""
        return len(self._real) + len(self._phantoms)

    @property
    def summary(self) -> str:
        """How many cases of which origin, for the model's metadata."""
        public = sum(case.path.stem.startswith(PUBLIC_PREFIX) for case in self._real)
        counts = (
            (public, PUBLIC_CASES),
            (len(self._real) - public, "annotated femurs of the trainer's own"),
            (len(self._phantoms), "phantom femurs"),
        )
        return " and ".join(f"{count} {origin}" for count, origin in counts if count)

    def training_patch(self, number: int) -> Patch:
        """Augmented patch ``number`` of the run."""
        rng = np.random.default_rng((self._config.seed, number))
        pool = self._pool(rng)
        case = pool[rng.integers(len(pool))]
        matrix = random_matrix(self._config.augmentation, rng)
        return self._patch(case, matrix, rng, augmented=True)

    def validation_patch(self, number: int) -> Patch:
        """Patch ``number`` as it is, from every case of the folder in turn."""
        rng = np.random.default_rng((self._config.seed, VALIDATION_STREAM, number))
        cases = self._real + self._phantoms
        return self._patch(cases[number % len(cases)], np.eye(3), rng, augmented=False)

    def _pool(self, rng: np.random.Generator) -> list[_IndexedCase]:
        """The cases to draw one from: of one origin by ``real_share``, or all."""
        if self._config.real_share is None:
            return self._real + self._phantoms
        pool = self._real if rng.random() < self._config.real_share else self._phantoms
        return pool or self._real or self._phantoms

    def _patch(
        self,
        indexed: _IndexedCase,
        matrix: npt.NDArray[np.float64],
        rng: np.random.Generator,
        *,
        augmented: bool,
    ) -> Patch:
        config = self._config
        case = load_case(indexed.path)
        centre = self._centre(indexed, case, rng)
        needed = TRUST_PERIOSTEAL if config.role == "periosteal" else TRUST_BOTH
        block = _block(case, needed, centre, source_size(matrix, config.patch_zyx))
        hu, periosteal, endosteal, trust = warp(block, matrix, config.patch_zyx)
        if augmented:
            hu = change_appearance(hu, config.augmentation, rng)
        outer = periosteal >= 0.5
        # a voxel counts where all it is interpolated from may be trusted
        counted, near = trust >= 1 - TRUST_ROUNDING, outer
        if config.role == "periosteal":
            return _as_patch(hu, outer, counted, case.kind)
        if config.endosteal_input == "masked":
            seen = perturb_surface(outer, rng) if augmented and config.perturb_mask else outer
            hu = np.where(seen, hu, np.float32(OUTSIDE_HU))
            near = outer | seen
        if config.loss_reach_voxels is not None:
            counted &= _dilated(near, config.loss_reach_voxels)
        return _as_patch(hu, (endosteal >= 0.5) & outer, counted, case.kind)

    def _centre(
        self, indexed: _IndexedCase, case: TrainingCase, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        config = self._config
        shape = case.hu.shape
        outside = LARGEST_OUTSIDE
        if config.placement == "crop":
            # any window within the case, each alike
            first = rng.integers(max(0, shape[0] - config.patch_zyx[0]) + 1)
            centre = np.array([first + config.patch_zyx[0] // 2, *indexed.middle_yx])
            outside = 0.0
        elif rng.random() < config.background_share:
            bone = _other_bone(case)
            centre = bone[rng.integers(len(bone))] if len(bone) else rng.uniform(0, shape)
        else:
            upper = len(indexed.upper) > 0 and rng.random() < config.upper_share
            points = indexed.upper if upper else indexed.surface
            jitter = rng.uniform(-CENTRE_JITTER, CENTRE_JITTER, 3) * config.patch_zyx
            centre = points[rng.integers(len(points))] + jitter
        reach = np.array(config.patch_zyx) * (0.5 - outside)
        low = np.minimum(reach, np.array(shape) / 2)
        return np.asarray(np.clip(centre, low, np.array(shape) - low), dtype=np.int64)


def _index(path: Path) -> _IndexedCase:
    with open_case(path) as arrays:
        kind: Kind = arrays["kind"].item()
        surface = arrays["surface"]
    highest = surface[:, 0].max()
    upper = surface[surface[:, 0] > highest - UPPER_END_VOXELS]
    return _IndexedCase(path, kind, surface, upper if kind != "shaft" else upper[:0])


def _other_bone(case: TrainingCase) -> npt.NDArray[np.int64]:
    """Voxels ``(n, 3)`` of bone that is labelled, trusted and not femur; every fourth each way."""
    step = slice(None, None, OTHER_BONE_STEP)
    coarse = (step, step, step)
    is_bone = np.asarray(case.hu)[coarse] > OTHER_BONE_HU
    is_outside = np.asarray(case.periosteal)[coarse] == 0
    is_trusted = np.asarray(case.trust)[coarse] >= TRUST_PERIOSTEAL
    found = np.argwhere(is_bone & is_outside & is_trusted)
    return np.asarray(found * OTHER_BONE_STEP, dtype=np.int64)


def _block(
    case: TrainingCase, needed: int, centre: npt.NDArray[np.int64], size: SizeZyx
) -> npt.NDArray[np.float32]:
    """float32 ``[4, z, y, x]``: HU, periosteal, endosteal, 1 where the trust is as needed.

    The last is 0 past the case.
    """
    block = np.zeros((4, *size), dtype=np.float32)
    block[0] = OUTSIDE_HU
    start = centre - np.array(size) // 2
    into, out_of = [], []
    for first, length, extent in zip(start, size, case.hu.shape, strict=True):
        low, high = max(0, first), min(extent, first + length)
        into.append(slice(low - first, max(low, high) - first))
        out_of.append(slice(low, max(low, high)))
    arrays: tuple[npt.NDArray[np.generic], ...] = (
        case.hu,
        case.periosteal,
        case.endosteal,
        case.trust,
    )
    for channel, array in enumerate(arrays):
        block[channel][tuple(into)] = array[tuple(out_of)]
    block[3] = block[3] >= needed
    return block


def _dilated(mask: BoolArray, voxels: int) -> BoolArray:
    """The mask grown by a cube of so many voxels each way."""
    grown = torch.nn.functional.max_pool3d(
        torch.from_numpy(mask)[None].float(), 2 * voxels + 1, stride=1, padding=voxels
    )
    return np.asarray(grown[0].numpy() > 0, dtype=np.bool_)


def _as_patch(
    hu: npt.NDArray[np.float32], target: BoolArray, counted: BoolArray, kind: Kind
) -> Patch:
    return Patch(
        hu=torch.from_numpy(np.ascontiguousarray(hu))[None, None],
        target=torch.from_numpy(target.astype(np.int64))[None],
        weight=torch.from_numpy(counted.astype(np.float32))[None],
        kind=kind,
    )
