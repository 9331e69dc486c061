import pydantic
import pytest

from model_export.config import cpu, named, paper


def test_the_paper_s_configuration_is_section_2_3():
    config = paper("periosteal")
    assert config.patch_zyx == (64, 192, 192)
    assert config.learning_rate == 1e-4
    assert config.schedule == "constant"
    assert config.dice_weight == 0
    assert config.augmentation.rotation_deg == 0


def test_the_digest_changes_with_any_value():
    config = cpu("periosteal")
    assert config.sha256() == cpu("periosteal").sha256()
    assert config.sha256() != cpu("endosteal").sha256()
    assert config.sha256() != config.model_copy(update={"seed": 1}).sha256()


def test_named_configurations_are_found_by_name():
    assert named("paper", "endosteal") == paper("endosteal")
    assert named("cpu", "endosteal") == cpu("endosteal")


def test_a_configuration_refuses_what_it_does_not_know():
    with pytest.raises(pydantic.ValidationError, match="epochs"):
        type(paper("periosteal")).model_validate({"name": "x", "role": "periosteal", "epochs": 800})
