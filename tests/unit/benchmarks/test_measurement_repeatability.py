"""What the scans of one femur differ in."""

from __future__ import annotations

import numpy as np
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from tests.benchmarks.measurement_repeatability import (
    MAX_TURN_DEG,
    SPACINGS_MM,
    STRAIGHT,
    Field,
    exact_masks,
    noisy_masks,
    scans,
)


class Slope:
    """Bone below z = 0, its inner surface 2 mm deeper."""

    side = FemurSide.LEFT

    def grid(self, turn: FloatArray, shift_mm: FloatArray, spacing: SpacingMm) -> VolumeGeometry:
        return VolumeGeometry.axis_aligned((40, 60, 60), spacing, (0.0, 0.0, -20 * spacing.z))

    def surfaces(self, points: FloatArray) -> tuple[Field, Field]:
        outer = points[..., 2].astype(np.float32)
        return outer, outer + np.float32(2.0)


def test_the_first_scan_is_straight_and_the_others_within_bounds() -> None:
    first, *others = scans(20, 0)
    assert first is STRAIGHT
    assert all(np.linalg.norm(scan.turn) <= np.radians(MAX_TURN_DEG) for scan in others)
    assert all(SPACINGS_MM[0] <= step <= SPACINGS_MM[1] for s in others for step in s.spacing)


def test_voxels_are_bone_by_their_centres() -> None:
    femur = Slope()
    masks = exact_masks(femur, femur.grid(*STRAIGHT))
    # z = -18, -17.1, ... -0.9 mm are below 0, up to -2.7 mm below -2
    assert masks.periosteal[:20].all()
    assert not masks.periosteal[20:].any()
    assert masks.endosteal[:18].all()
    assert not masks.endosteal[18:].any()


def test_noise_moves_contours_by_its_standard_deviation() -> None:
    femur = Slope()
    masks = noisy_masks(femur, femur.grid(*STRAIGHT), 0.9, np.random.default_rng(0))
    # centres on the surface fall inside as often as out, those one deviation off in 15.9 %
    assert masks.periosteal[20].mean() == pytest.approx(0.5, abs=0.05)
    assert masks.periosteal[21].mean() == pytest.approx(0.159, abs=0.03)
    assert not (masks.endosteal & ~masks.periosteal).any()
