import json
from typing import get_args

import pydantic
import pytest

from model_export.config import (
    DEPARTURES,
    UNET_CHANNELS,
    ConfigurationName,
    TrainingConfig,
    cpu,
    named,
    paper,
)


def test_the_paper_s_configuration_is_sections_2_2_to_2_4_and_3_2():
    config = paper("endosteal")
    assert config.architecture == "vnet"
    assert config.patch_zyx == (64, 192, 192)
    assert config.placement == "crop"
    assert (config.learning_rate, config.schedule, config.warmup_share) == (1e-4, "constant", 0)
    assert (config.weight_decay, config.gradient_clip) == (0, None)
    assert config.epochs == 800
    assert config.dice_weight == 0
    assert config.loss_reach_voxels is None
    assert config.endosteal_input == "masked"
    assert not config.perturb_mask
    assert not config.right_femurs
    assert not config.mixed_precision
    assert config.select == "best"


def test_the_paper_augments_by_noise_brightness_and_scaling_only():
    ranges = paper("periosteal").augmentation.model_dump()
    assert {name for name, value in ranges.items() if value} == {
        "noise_hu",
        "offset_hu",
        "gain",
        "scale",
    }


@pytest.mark.parametrize("name", get_args(ConfigurationName))
def test_every_name_has_a_configuration_that_bears_it(name: ConfigurationName):
    assert named(name, "endosteal").name == name
    assert named(name, "endosteal").role == "endosteal"


@pytest.mark.parametrize(("name", "departure"), DEPARTURES.items())
def test_a_departure_differs_in_what_it_names_and_in_nothing_else(name, departure):
    # some of cpu-cropped's are cpu's own for the periosteal surface
    base, config = named(departure.base, "endosteal"), named(name, "endosteal")
    differing = {k for k, v in config.model_dump().items() if v != base.model_dump()[k]}
    assert differing == {"name", *departure.changes}


def test_the_cropped_ct_s_network_trains_on_what_it_is_used_on():
    config = named("cpu-cropped", "endosteal")
    assert config.background_share == named("cpu", "periosteal").background_share > 0
    assert config.loss_reach_voxels is None


def test_the_baseline_is_the_paper_s_training_of_a_u_net():
    config = named("paper-unet", "periosteal")
    assert (config.architecture, config.channels) == ("unet", UNET_CHANNELS)


def test_the_digest_changes_with_any_value():
    config = cpu("periosteal")
    assert config.sha256() == cpu("periosteal").sha256()
    assert config.sha256() != cpu("endosteal").sha256()
    assert config.sha256() != config.model_copy(update={"seed": 1}).sha256()


def test_a_configuration_saved_before_a_field_was_added_is_still_read():
    saved = json.loads(cpu("periosteal").model_dump_json())
    for field in ("architecture", "placement", "endosteal_input", "perturb_mask", "right_femurs"):
        del saved[field]
    del saved["loss_reach_voxels"]
    assert TrainingConfig.model_validate(saved) == cpu("periosteal")


@pytest.mark.parametrize("side", [0, 40])
def test_sides_of_a_patch_halve_four_times(side: int):
    with pytest.raises(pydantic.ValidationError, match="multiples of 16"):
        TrainingConfig(name="x", role="periosteal", patch_zyx=(16, 16, side))


def test_a_configuration_refuses_what_it_does_not_know():
    with pytest.raises(pydantic.ValidationError, match="batch_size"):
        TrainingConfig.model_validate({"name": "x", "role": "periosteal", "batch_size": 2})
