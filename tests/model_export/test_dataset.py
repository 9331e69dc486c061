from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model_export import dataset
from model_export.augmentation import warp
from model_export.case_sets import case_files
from model_export.cases import CaseError, TrainingCase
from model_export.config import TrainingConfig
from model_export.dataset import OUTSIDE_HU, PatchSource


def test_a_patch_is_a_function_of_seed_and_number(cases: Path, tiny: TrainingConfig):
    source, again = (PatchSource(case_files(cases / "train"), tiny) for _ in range(2))
    again.training_patch(0)
    assert torch.equal(source.training_patch(3).hu, again.training_patch(3).hu)
    assert not torch.equal(source.training_patch(3).hu, source.training_patch(4).hu)
    other = PatchSource(case_files(cases / "train"), tiny.model_copy(update={"seed": 1}))
    assert not torch.equal(source.training_patch(3).hu, other.training_patch(3).hu)


def test_a_patch_has_the_configured_size(cases: Path, tiny: TrainingConfig):
    patch = PatchSource(case_files(cases / "train"), tiny).training_patch(0)
    assert patch.hu.shape == (1, 1, 16, 32, 32)
    assert patch.target.shape == patch.weight.shape == (1, 16, 32, 32)
    assert (patch.hu.dtype, patch.target.dtype) == (torch.float32, torch.int64)


def test_an_unchanged_patch_shows_bone_where_its_target_is(cases: Path, tiny: TrainingConfig):
    patch = PatchSource(case_files(cases / "validation"), tiny).validation_patch(0)
    inside = patch.hu[0, 0][patch.target[0] == 1]
    assert set(inside.round().unique().tolist()) == {-50.0, 1200.0}


def test_past_the_case_there_is_no_trust(cases: Path, tiny: TrainingConfig):
    # the case has 48 x 40 x 44 voxels: this patch holds it all and air around it
    whole = tiny.model_copy(update={"patch_zyx": (64, 64, 64)})
    patch = PatchSource(case_files(cases / "validation"), whole).validation_patch(0)
    assert patch.weight.sum().item() == 48 * 40 * 44
    outside = patch.hu[0, 0][patch.weight[0] == 0]
    assert torch.allclose(outside, torch.tensor(OUTSIDE_HU), atol=0.1)


def test_the_real_share_decides_where_patches_come_from(cases: Path, tiny: TrainingConfig):
    for share, kind in ((0.0, "phantom"), (1.0, "proximal")):
        config = tiny.model_copy(update={"real_share": share})
        source = PatchSource(case_files(cases / "train"), config)
        assert {source.training_patch(i).kind for i in range(8)} == {kind}


def test_background_patches_lie_on_bone_that_is_not_femur(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    case = make_case()
    hu = np.array(case.hu)
    hu[20:24, 4:8, 4:8] = 900  # one voxel of the looked-at lattice: (20, 4, 4)
    replace(case, hu=hu).save(tmp_path)
    config = tiny.model_copy(update={"background_share": 1.0, "patch_zyx": (16, 16, 16)})
    source = PatchSource(case_files(tmp_path), config)
    for number in range(4):
        patch = source.validation_patch(number)
        assert (patch.hu > 600).any()
        assert not patch.target.any()


def test_the_endosteal_network_sees_nothing_outside_the_periosteal_mask(
    cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"role": "endosteal", "patch_zyx": (16, 48, 48)})
    patch = PatchSource(case_files(cases / "validation"), config).validation_patch(0)
    seen = patch.hu[0, 0] != OUTSIDE_HU
    # 12 x 12 voxels of bone and marrow in each of 16 slices, 6 x 6 of them marrow
    assert seen.sum().item() == 16 * 12 * 12
    assert patch.target.sum().item() == 16 * 6 * 6
    # the loss counts up to 3 voxels outside it
    assert patch.weight.sum().item() == 16 * 18 * 18


def test_the_paper_s_endosteal_loss_counts_the_whole_patch(cases: Path, tiny: TrainingConfig):
    within = {"role": "endosteal", "placement": "crop"}
    config = tiny.model_copy(update={"loss_reach_voxels": None, **within})
    patch = PatchSource(case_files(cases / "validation"), config).validation_patch(0)
    assert patch.weight.all()


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
    patch = PatchSource(
        case_files(tmp_path), tiny.model_copy(update={"role": role})
    ).validation_patch(0)
    assert bool(patch.weight.any()) is counted


def test_a_voxel_between_trust_and_none_does_not_count(
    tmp_path: Path,
    make_case: Callable[..., TrainingCase],
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
):
    case = make_case()
    trust = np.zeros_like(case.trust)
    trust[:, :, ::2] = 2
    replace(case, trust=trust).save(tmp_path)
    # half a column on: every voxel lies half-way between a trust of 2 and one of 0
    monkeypatch.setattr(dataset, "warp", lambda *given: _half_a_column_on(warp(*given)))
    for role in ("periosteal", "endosteal"):
        config = tiny.model_copy(update={"role": role})
        patch = PatchSource(case_files(tmp_path), config).validation_patch(0)
        assert not patch.weight.any()


def _half_a_column_on(patch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray((patch + np.roll(patch, 1, axis=-1)) / 2)


def test_patches_of_the_crop_lie_about_the_femur_s_middle_and_within_the_case(
    cases: Path, tiny: TrainingConfig
):
    config = tiny.model_copy(update={"placement": "crop", "patch_zyx": (16, 32, 32)})
    source = PatchSource(case_files(cases / "validation"), config)
    for number in range(4):
        patch = source.validation_patch(number)
        # all of the tube of 12 x 12 voxels; its middle, column 25.5, is column 16 of the patch
        assert patch.target.sum().item() == 16 * 12 * 12
        assert patch.weight.all()
        columns = patch.target[0, 0].any(dim=0).nonzero().squeeze(1)
        assert (int(columns[0]), int(columns[-1])) == (11, 22)


def test_every_window_of_the_crop_is_drawn_alike(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    case = make_case()
    # each slice tells its number; 20 slices hold five windows of 16
    hu = np.broadcast_to(np.arange(20, dtype=np.int16)[:, None, None], (20, *case.hu.shape[1:]))
    labels = {name: getattr(case, name)[:20] for name in ("periosteal", "endosteal", "trust")}
    surface = case.surface[case.surface[:, 0] < 20]
    replace(case, hu=hu, surface=surface, **labels).save(tmp_path)
    config = tiny.model_copy(update={"placement": "crop", "patch_zyx": (16, 32, 32)})
    source = PatchSource(case_files(tmp_path), config)
    first = [round(source.validation_patch(i).hu[0, 0, 0, 0, 0].item()) for i in range(100)]
    counts = [first.count(start) for start in range(5)]
    assert sum(counts) == 100
    # 20 each; the standard deviation is 4
    assert min(counts) >= 8
    assert max(counts) <= 32


def test_the_ablation_s_endosteal_network_sees_and_counts_the_whole_patch(
    cases: Path, tiny: TrainingConfig
):
    whole = {"endosteal_input": "cropped", "loss_reach_voxels": None}
    config = tiny.model_copy(update={"role": "endosteal", "placement": "crop", **whole})
    patch = PatchSource(case_files(cases / "validation"), config).validation_patch(0)
    # water, bone and marrow
    assert set(patch.hu.round().unique().tolist()) == {0.0, 1200.0, -50.0}
    assert patch.target.sum().item() == 16 * 6 * 6
    assert patch.weight.all()


def test_without_a_real_share_every_case_is_drawn_alike(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    make_case("real").save(tmp_path)
    for number in range(7):
        make_case(f"phantom_{number}", "phantom").save(tmp_path)
    source = PatchSource(case_files(tmp_path), tiny.model_copy(update={"real_share": None}))
    assert source.count == 8
    kinds = [source.training_patch(i).kind for i in range(40)]
    assert 0 < kinds.count("proximal") < 15


def test_only_right_femurs_are_no_cases_for_a_configuration_of_left_ones(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    make_case("anna_right").save(tmp_path)
    config = tiny.model_copy(update={"right_femurs": False})
    with pytest.raises(CaseError, match="1 right femurs are left out"):
        PatchSource(case_files(tmp_path), config)


def test_the_summary_tells_public_series_from_the_trainer_s_own(
    tmp_path: Path, make_case: Callable[..., TrainingCase], tiny: TrainingConfig
):
    for name, kind in (("STS_001", "shaft"), ("anna_left", "proximal"), ("p_left", "phantom")):
        make_case(name, kind).save(tmp_path)
    assert PatchSource(case_files(tmp_path), tiny).summary == (
        "1 annotated real series and 1 annotated femurs of the trainer's own and 1 phantom femurs"
    )


def test_a_folder_without_cases_is_refused(tmp_path: Path, tiny: TrainingConfig):
    with pytest.raises(CaseError, match="no training case"):
        PatchSource(case_files(tmp_path), tiny)
