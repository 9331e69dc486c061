"""Scores of a hollow block that two thresholds find exactly, or not at all."""

from dataclasses import replace

import numpy as np
import pytest

from model_export.evaluation import (
    Cascade,
    FemurScore,
    FoundFemur,
    evaluate_case,
    reference_masks,
    score,
)
from model_export.volumes import TARGETS, Part
from service.domain.imaging import FemurMasks
from service.pipeline.cascade import Networks
from tests.builders.evaluation_cases import INNER, OUTER, PERFECT, block_case

FEMUR = next(i for i, t in enumerate(TARGETS) if t.part is Part.FEMUR)
BLIND = Networks(replace(PERFECT.periosteal, above_hu=5000.0), PERFECT.endosteal)


def evaluated(networks: Networks = PERFECT, trust: int = 2) -> FemurScore:
    return evaluate_case(block_case(trust=trust), Cascade(networks), lambda: None)[1]


def test_masks_equal_to_the_reference_score_full() -> None:
    scored = evaluated()
    for surface in (scored.periosteal, scored.endosteal):
        assert surface is not None
        assert surface.dice == surface.sensitivity == surface.specificity == 1.0
        assert surface.surface_dice == 1.0
        assert surface.asd_mm == surface.hausdorff95_mm == 0.0
    assert scored.seconds > 0
    np.testing.assert_array_equal(scored.true_cm3, scored.found_cm3)


def test_the_entire_femur_and_its_cortex_are_measured_without_landmarks() -> None:
    scored = evaluated()
    assert scored.true_cm3[FEMUR] == pytest.approx(18.432)
    assert scored.true_cm3[FEMUR + 1] == pytest.approx(18.432 - 8.05376)
    # a block has no head, hence no neck
    assert np.isnan(scored.true_cm3[0])


def test_a_femur_not_found_has_no_overlap_and_no_volume() -> None:
    scored = evaluated(BLIND)
    assert scored.periosteal is not None
    assert scored.periosteal.dice == scored.periosteal.sensitivity == 0.0
    assert scored.periosteal.specificity == 1.0
    assert scored.periosteal.asd_mm == np.inf
    assert scored.true_cm3[FEMUR] == pytest.approx(18.432)
    assert np.isnan(scored.found_cm3).all()


def test_a_surface_without_trust_is_not_scored() -> None:
    assert evaluated(trust=0).periosteal is None
    one = evaluated(trust=1)
    assert one.periosteal is not None
    assert one.endosteal is None
    # the volume needs the periosteal surface only, its cortex both
    assert np.isfinite(one.found_cm3[FEMUR])
    assert np.isnan(one.found_cm3[FEMUR + 1])


def test_the_outermost_voxels_of_a_case_do_not_count() -> None:
    case = block_case()
    case.periosteal[:, :, 6:] = 1
    reference = reference_masks(case)
    periosteal = reference.periosteal.copy()
    periosteal[:, :, 6] = False
    found = FemurMasks(reference.side, periosteal, reference.endosteal, reference.geometry)
    scored = score(case, FoundFemur(found), 1.0).periosteal
    assert scored is not None
    # the bone is cut on five sides: only the sixth, a column off, is surface
    assert scored.asd_mm == pytest.approx(0.8)
    # 36 of the 37 columns within the outermost voxels are common
    assert scored.dice == pytest.approx(2 * 36 / (36 + 37))


def test_the_endosteal_network_sees_what_the_ablation_says() -> None:
    case = block_case()
    cropped = Cascade(PERFECT, endosteal_input="cropped").segment(case, lambda: None)
    masked = Cascade(PERFECT).segment(case, lambda: None)
    np.testing.assert_array_equal(masked.masks.endosteal, case.endosteal == 1)
    # water around the block is within the thresholds too; filled and cut to the periosteal mask
    np.testing.assert_array_equal(cropped.masks.endosteal, case.periosteal == 1)


def test_a_case_takes_one_window_of_each_network_per_step() -> None:
    told: list[int] = []
    cascade = Cascade(PERFECT)
    cascade.segment(block_case(), lambda: told.append(1))
    assert len(told) == cascade.windows(block_case()) == 2


def test_the_block_is_as_large_as_its_volumes_say() -> None:
    sizes = [np.prod([s.stop - s.start for s in box]) * 0.64e-3 for box in (OUTER, INNER)]
    assert sizes == pytest.approx([18.432, 8.05376])
