"""Subjects, protocols, metal and what lies around the bones of the anatomical phantoms."""

import numpy as np
import pytest

from model_export.phantoms.metal import add_streaks
from model_export.phantoms.protocol import BONE_SCALE_BY_KVP, draw_protocol
from model_export.phantoms.subject import draw_subject
from model_export.phantoms.surroundings import Lump, add_lump, coverage
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.sample.lattice import Lattice

GRID = VolumeGeometry.axis_aligned((20, 30, 30), SpacingMm(1.0, 1.0, 1.0), (-15.0, -15.0, -10.0))


def test_subjects_lose_superior_neck_cortex_and_neck_density_with_age():
    subjects = [draw_subject(seed) for seed in range(5000, 5200)]
    young = [s for s in subjects if s.age < 45]
    old = [s for s in subjects if s.age > 75]
    assert np.mean([s.cortex.superior_neck for s in young]) > 1.2
    assert np.mean([s.cortex.superior_neck for s in old]) < 0.85
    assert np.mean([s.tissue.background for s in young]) > 1.8 * np.mean(
        [s.tissue.background for s in old]
    )


def test_degenerated_joints_are_one_to_three_millimetres_wide_and_old():
    subjects = [draw_subject(seed) for seed in range(5000, 5200)]
    worn = [(s, j) for s in subjects for j in s.joints if j.osteophytes]
    assert 40 < len(worn) < 160
    assert all(1.0 <= j.gap_mm <= 3.0 and s.age > 45 for s, j in worn)


def test_protocols_span_the_grids_asked_for():
    drawn = [draw_protocol(seed, side) for seed in range(5000, 5150) for side in (0, 1)]
    assert {p.kvp for p in drawn} == set(BONE_SCALE_BY_KVP)
    assert min(p.pixel_mm for p in drawn) < 0.45
    assert max(p.pixel_mm for p in drawn) > 0.95
    assert {p.slice_mm for p in drawn} >= {0.6, 5.0}
    assert any(min(p.margins_mm) < 0 for p in drawn)
    assert any(p.above_head_mm < 0 for p in drawn)


def test_both_sides_share_the_scanner_but_not_the_field_of_view():
    left, right = draw_protocol(5000, 0), draw_protocol(5000, 1)
    assert left.pixel_mm == right.pixel_mm
    assert left.margins_mm != right.margins_mm


@pytest.mark.parametrize("side", [0, 1])
def test_the_field_of_view_depends_neither_on_pixel_size_nor_on_voltage(side: int):
    drawn = [draw_protocol(seed, side) for seed in range(5000, 7000)]
    scanner = np.array([(p.pixel_mm, p.kvp) for p in drawn])
    view = np.array([(*p.margins_mm, p.above_head_mm, p.below_lesser_mm) for p in drawn])
    between = np.corrcoef(scanner.T, view.T)[:2, 2:]
    # of 2000 independent pairs: standard deviation 1 / sqrt(2000) = 0.022
    assert np.abs(between).max() < 0.1
    cropped = view[:, :4].min(axis=1) < 5.01
    for kvp in BONE_SCALE_BY_KVP:
        assert 0.1 < cropped[scanner[:, 1] == kvp].mean() < 0.4


def test_coverage_is_a_ramp_one_voxel_wide():
    distances = np.array([-1.0, -0.25, 0.0, 0.25, 1.0], np.float32)
    assert coverage(distances, 1.0) == pytest.approx((1, 0.75, 0.5, 0.25, 0))


def test_a_lump_adds_its_volume_times_its_hu():
    image = np.zeros(GRID.shape_zyx, np.float32)
    add_lump(image, Lattice.over(GRID, 3.0), Lump((0.2, 0.3, 0.1), 5.0, 100.0), 1.0)
    assert image.sum() / 100 == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.03)


def test_a_lump_outside_the_grid_changes_nothing():
    image = np.zeros(GRID.shape_zyx, np.float32)
    add_lump(image, Lattice.over(GRID, 3.0), Lump((100.0, 0.0, 0.0), 5.0, 100.0), 1.0)
    assert not image.any()


def test_streaks_stay_in_the_slices_of_the_metal_and_fade_away_from_it():
    image = np.zeros(GRID.shape_zyx, np.float32)
    add_streaks(image, GRID, [(-15.0, 0.0, 0.0)], np.random.default_rng(1))
    touched = np.flatnonzero(image.any(axis=(1, 2)))
    assert touched.min() >= 1
    assert touched.max() <= 19
    assert np.abs(image[:, :, :5]).mean() > np.abs(image[:, :, -5:]).mean()


def test_one_scan_in_five_shows_the_pelvis_far_above_and_medial_of_the_femur():
    for side, medial in ((0, 0), (1, 1)):
        drawn = [draw_protocol(seed, side) for seed in range(5000, 5150)]
        whole = [p for p in drawn if p.above_head_mm > 50]
        assert len(whole) == pytest.approx(30, abs=12)
        # a left femur's medial border is at low x
        assert min(p.margins_mm[medial] for p in whole) >= 50
        assert max(p.margins_mm[1 - medial] for p in whole) <= 40
