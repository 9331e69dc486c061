from pathlib import Path

import numpy as np

from model_export.cases import load_case
from model_export.phantom_cases import TRAINING_SEED, VALIDATION_SEED, write_phantoms


def test_a_phantom_gives_two_left_femurs_with_bone_inside_their_masks(tmp_path: Path):
    paths = list(write_phantoms(range(VALIDATION_SEED, VALIDATION_SEED + 1), tmp_path))
    assert [p.stem for p in paths] == ["phantom_900_left", "phantom_900_right"]
    for path in paths:
        case = load_case(path)
        cortex = (case.periosteal == 1) & (case.endosteal == 0)
        assert np.median(case.hu[cortex]) > 500
        assert np.median(case.hu[case.periosteal == 0]) < 100
        # as in a left femur, the head (top) lies to the right of the patient of the shaft (bottom)
        assert case.surface[:, 0].max() > 120
        top = case.surface[case.surface[:, 0] > case.surface[:, 0].max() - 20]
        bottom = case.surface[case.surface[:, 0] < 20]
        assert top[:, 2].mean() < bottom[:, 2].mean()
    assert list(write_phantoms(range(900, 901), tmp_path)) == []


def test_training_and_validation_seeds_leave_the_first_hundred_alone():
    assert VALIDATION_SEED >= 100
    assert TRAINING_SEED >= VALIDATION_SEED + 10
