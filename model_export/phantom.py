"""Anatomical phantoms: hip CT sampled from a shape model, with exact masks, as training cases.

Seeds are partitioned: those from ``TRAINING_SEED`` on are for training, ``EVALUATION_SEEDS`` are
held out. A seed fixes the shape-model sample and every other draw, so no sample is in both parts.
Phantoms are phantoms: what a network does on them says nothing certain about patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from model_export.cases import TRUST_BOTH, TrainingCase, oriented_case, resample
from model_export.phantoms.anatomy import draw_phantom
from model_export.phantoms.protocol import draw_protocol
from model_export.phantoms.scan import scan_femur
from service.domain.findings import FemurSide
from service.domain.geometry import CONTRACT_SPACING_MM, SpacingMm, VolumeGeometry
from service.errors import InputError

TRAINING_SEED = 5000
"""First seed to train on."""

EVALUATION_SEEDS = range(4000, 4100)
"""Seeds held out for evaluation."""

SIDES = (FemurSide.LEFT, FemurSide.RIGHT)


class PhantomSeedError(InputError):
    """Seeds that belong to neither or to both parts."""

    code = "bad_phantom_seeds"


def write_anatomical_phantoms(seeds: range, folder: Path, workers: int = 1) -> Iterator[Path]:
    """Writes both femurs of each phantom, ``anatomical_<seed>_<side>.npz``; keeps those there.

    Args:
        seeds: all for training or all held out.
        folder: made if missing.
        workers: processes.

    Yields:
        The path of each case as it is written.

    Raises:
        PhantomSeedError: for seeds of neither part or of both.
    """
    held_out = [seed in EVALUATION_SEEDS for seed in seeds]
    known = [seed in EVALUATION_SEEDS or seed >= TRAINING_SEED for seed in seeds]
    if not all(known) or any(held_out) != all(held_out):
        raise PhantomSeedError(
            f"seeds {seeds.start} to {seeds.stop - 1}: need all from {TRAINING_SEED} on (training) "
            f"or all within {EVALUATION_SEEDS.start} to {EVALUATION_SEEDS.stop - 1} (held out)"
        )
    wanted = [
        (seed, side, folder)
        for seed in seeds
        for side in (0, 1)
        if not (folder / f"{_name(seed, side)}.npz").exists()
    ]
    if workers == 1:
        yield from map(_write, wanted)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_write, wanted)


def anatomical_case(seed: int, side: int) -> TrainingCase:
    """One femur (side 0 left, 1 right) of the phantom of a seed, scanned with its protocol.

    The CT is rendered at the protocol's spacing and resampled as in production; the masks are
    evaluated at the voxel centres of the networks' grid.

    Raises:
        ShapeModelError: when the shape model's package is not installed.
    """
    anatomy = draw_phantom(seed)
    protocol = draw_protocol(seed, side)
    scan = scan_femur(anatomy, anatomy.sides[side], protocol)
    spacing = SpacingMm(protocol.slice_mm, protocol.pixel_mm, protocol.pixel_mm)
    hu = np.rint(resample(scan.hu, spacing, order=1)).astype(np.int16)
    x, y, z = scan.geometry.index_to_lps((0, 0, 0))
    grid = VolumeGeometry.axis_aligned(
        (hu.shape[0], hu.shape[1], hu.shape[2]), CONTRACT_SPACING_MM, (x, y, z)
    )
    periosteal, endosteal = (mask.astype(np.uint8) for mask in scan.masks(grid))
    trust = np.full(hu.shape, TRUST_BOTH, dtype=np.uint8)
    return oriented_case(
        _name(seed, side), "phantom", side == 1, hu, (periosteal, endosteal & periosteal, trust)
    )


def _name(seed: int, side: int) -> str:
    return f"anatomical_{seed}_{SIDES[side]}"


def _write(wanted: tuple[int, int, Path]) -> Path:
    seed, side, folder = wanted
    return anatomical_case(seed, side).save(folder)
