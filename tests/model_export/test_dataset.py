from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.cases import CaseError, TrainingCase
from model_export.config import TrainingConfig
from model_export.dataset import OUTSIDE_HU, PatchSource


def test_a_patch_is_a_function_of_seed_and_number(cases: Path, tiny: TrainingConfig):
    source, again = (PatchSource(cases / "train", tiny) for _ in range(2))
    again.training_patch(0)
    assert torch.equal(source.training_patch(3).hu, again.training_patch(3).hu)
    assert not torch.equal(source.training_patch(3).hu, source.training_patch(4).hu)
    other = PatchSource(cases / "train", tiny.model_copy(update={"seed": 1}))
    assert not torch.equal(source.training_patch(3).hu, other.training_patch(3).hu)


def test_a_patch_has_the_configured_size(cases: Path, tiny: TrainingConfig):
    patch = PatchSource(cases / "train", tiny).training_patch(0)
    assert patch.hu.shape == (1, 1, 16, 32, 32)
    assert patch.target.shape == patch.weight.shape == (1, 16, 32, 32)
    assert (patch.hu.dtype, patch.target.dtype) == (torch.float32, torch.int64)


def test_an_unchanged_patch_shows_bone_where_its_target_is(cases: Path, tiny: TrainingConfig):
    patch = PatchSource(cases / "validation", tiny).validation_patch(0)
    inside = patch.hu[0, 0][patch.target[0] == 1]
    assert set(inside.round().unique().tolist()) == {-50.0, 1200.0}


def test_past_the_case_there_is_no_trust(cases: Path, tiny: TrainingConfig):
    # the case has 48 x 40 x 44 voxels: this patch holds it all and air around it
    whole = tiny.model_copy(update={"patch_zyx": (64, 64, 64)})
    patch = PatchSource(cases / "validation", whole).validation_patch(0)
    assert patch.weight.sum().item() == 48 * 40 * 44
    outside = patch.hu[0, 0][patch.weight[0] == 0]
    assert torch.allclose(outside, torch.tensor(OUTSIDE_HU), atol=0.1)


def test_the_real_share_decides_where_patches_come_from(cases: Path, tiny: TrainingConfig):
    for share, kind in ((0.0, "phantom"), (1.0, "proximal")):
        config = tiny.model_copy(update={"real_share": share})
        source = PatchSource(cases / "train", config)
        assert {source.training_patch(i).kind for i in range(8)} == {kind}


def test_background_patches_lie_on_bone_that_is_not_femur(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    case = make_case()
    hu = np.array(case.hu)
    hu[20:24, 4:8, 4:8] = 900  # one voxel of the looked-at lattice: (20, 4, 4)
    replace(case, hu=hu).save(tmp_path)
    config = tiny.model_copy(update={"background_share": 1.0, "patch_zyx": (16, 16, 16)})
    source = PatchSource(tmp_path, config)
    for number in range(4):
        patch = source.validation_patch(number)
        assert (patch.hu > 600).any()
        assert not patch.target.any()


def test_the_endosteal_network_sees_nothing_outside_the_periosteal_mask(
    cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"role": "endosteal", "patch_zyx": (16, 48, 48)})
    patch = PatchSource(cases / "validation", config).validation_patch(0)
    seen = patch.hu[0, 0] != OUTSIDE_HU
    # 12 x 12 voxels of bone and marrow in each of 16 slices, 6 x 6 of them marrow
    assert seen.sum().item() == 16 * 12 * 12
    assert patch.target.sum().item() == 16 * 6 * 6
    # the loss counts up to 3 voxels outside it
    assert patch.weight.sum().item() == 16 * 18 * 18


@pytest.mark.parametrize(("role", "counted"), [("periosteal", True), ("endosteal", False)])
def test_a_guessed_endosteal_surface_counts_for_the_periosteal_network_only(
    tmp_path: Path,
    tiny: TrainingConfig,
    make_case: Callable[..., TrainingCase],
    role: str,
    counted: bool,
):
    case = make_case("guess")
    replace(case, trust=np.ones_like(case.trust)).save(tmp_path)
    patch = PatchSource(tmp_path, tiny.model_copy(update={"role": role})).validation_patch(0)
    assert bool(patch.weight.any()) is counted


def test_a_folder_without_cases_is_refused(tmp_path: Path, tiny: TrainingConfig):
    with pytest.raises(CaseError, match="no training case"):
        PatchSource(tmp_path, tiny)
