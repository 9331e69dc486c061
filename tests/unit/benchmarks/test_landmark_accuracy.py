"""Distances of planes and the partition's check, by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest

from model_export.phantoms.field_grid import FieldGrid
from service.domain.findings import FemurGeometry, FemurSide, Plane, RegionPlanes
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegions
from tests.benchmarks.landmark_accuracy import (
    LandmarkErrors,
    TrueFemur,
    leaves_grid,
    partition_exact,
    plane_distance,
    table,
)
from tests.benchmarks.mesh_landmarks import MeshPlane, MeshPlanes
from tests.benchmarks.mesh_sections import Floats, Mesh
from tests.unit.benchmarks.test_mesh_sections import UP, box

SIDEWAYS = np.array([1.0, 0.0, 0.0])


class Still:
    """A phantom that lies in its own frame."""

    def to_lps(self, points: Floats) -> Floats:
        return points


@dataclass(frozen=True)
class Landmarks:
    """Only the neck's end is asked for."""

    end_x_mm: float

    def planes(self) -> MeshPlanes:
        end = MeshPlane(np.array([self.end_x_mm, 0.0, 0.0]), SIDEWAYS)
        return MeshPlanes(end, end, end, end)


@dataclass(frozen=True)
class Femur:
    """What a distance needs."""

    landmarks: Landmarks
    phantom: Still
    mesh: Mesh


def distance(found: Plane | None, normal: Floats = UP, end_x_mm: float = 0.0) -> float:
    cube = box(np.zeros(3), np.full(3, 10.0))
    femur = cast("TrueFemur", Femur(Landmarks(end_x_mm), Still(), cube))
    return plane_distance(femur, MeshPlane(np.array([5.0, 5.0, 5.0]), normal), found)


def test_a_plane_beside_the_true_one_is_off_by_the_distance() -> None:
    assert distance(Plane(point_lps_mm=(5, 5, 6.5), normal_lps=(0, 0, 1))) == pytest.approx(1.5)


def test_a_tilt_counts_by_how_far_the_outline_leaves_the_plane() -> None:
    # 45 degrees about y through the middle: |x - 5| / sqrt(2), which is 2.5 mm on the mean of the
    # sides along x and 5 mm on those across
    found = Plane(point_lps_mm=(5, 5, 5), normal_lps=(np.sqrt(0.5), 0, np.sqrt(0.5)))
    assert distance(found, end_x_mm=-1.0) == pytest.approx(3.75 / np.sqrt(2))


def test_a_plane_along_the_neck_counts_lateral_of_it() -> None:
    # half of the box is left: 5 to 10 mm, of which the lateral side of 10 mm is 5 mm off
    found = Plane(point_lps_mm=(5, 5, 5), normal_lps=(np.sqrt(0.5), 0, np.sqrt(0.5)))
    assert distance(found, end_x_mm=5.0) == pytest.approx(3.75 / np.sqrt(2), abs=0.3)


def test_a_plane_not_found_has_no_distance() -> None:
    assert np.isnan(distance(None))


def regions(labels: np.ndarray) -> tuple[FemurMasks, FemurRegions]:
    grid = VolumeGeometry.axis_aligned((4, 1, 1), SpacingMm(1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    mask = np.array([True, True, True, False]).reshape(4, 1, 1)
    distal = Plane(point_lps_mm=(0, 0, 0.5), normal_lps=(0, 0, 1))
    geometry = FemurGeometry(planes=RegionPlanes(distal=distal))
    masks = FemurMasks(FemurSide.LEFT, mask, np.zeros_like(mask), grid)
    return masks, FemurRegions(labels.astype(np.uint8).reshape(4, 1, 1), geometry, ())


@pytest.mark.parametrize(
    ("labels", "exact"),
    [
        ((0, 1, 2, 0), True),
        ((0, 1, 0, 0), False),
        ((1, 1, 2, 0), False),
        ((0, 1, 2, 2), False),
    ],
)
def test_regions_are_the_mask_above_the_distal_plane(labels: tuple[int, ...], exact: bool) -> None:
    assert partition_exact(*regions(np.array(labels))) is exact


def test_the_table_shows_median_and_worst_and_counts_what_was_found() -> None:
    rows = [LandmarkErrors(i, "left", 1.0, 1.0, 0.0, head_mm=float(i)) for i in range(3)]
    rows.append(LandmarkErrors(3, "left", 1.0, 1.0, 0.0))
    assert "| head_mm | 1.00 | 1.90 | 2.00 | 1.0 | 3 of 4 |" in table(rows).splitlines()
    assert table(rows).endswith("Partition exact: 0 of 4. Without a truth: 0.")


def test_phantoms_without_a_truth_are_counted_apart() -> None:
    row = LandmarkErrors(0, "left", 1.0, 1.0, 0.0, head_mm=0.5)
    rows = [row, replace(row, head_mm=np.nan, flags=("no truth: no neck",))]
    assert "1 of 1 |" in table(rows)
    assert table(rows).endswith("Without a truth: 1.")


def test_bone_may_leave_the_grid_at_the_shafts_end_only() -> None:
    values = np.ones((4, 4, 4), dtype=np.float32)
    values[0, 1, 1] = -1.0
    assert not leaves_grid(FieldGrid((0.0, 0.0, 0.0), 1.0, values))
    values[2, 0, 1] = -1.0
    assert leaves_grid(FieldGrid((0.0, 0.0, 0.0), 1.0, values))
