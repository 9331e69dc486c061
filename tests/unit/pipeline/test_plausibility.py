import pytest

from service.domain.findings import Compartments, FlagCode, RegionalVolumes
from service.pipeline.plausibility import plausibility_flags


def volumes(head: float | None, neck: float | None, combination: float | None) -> RegionalVolumes:
    def part(integral: float | None) -> Compartments | None:
        if integral is None:
            return None
        return Compartments(integral=integral, cortical=None, trabecular=None)

    return RegionalVolumes(
        head=part(head),
        neck=part(neck),
        trochanter=None,
        intertrochanter=None,
        combination=part(combination),
        total=None,
    )


@pytest.mark.parametrize(
    "usual",
    [
        volumes(50.5, 15.2, 105.0),  # mean femur of the shape model
        volumes(38.9, 6.8, 71.2),  # the paper's means
        volumes(17.0, 3.5, 290.0),  # on the limits
        volumes(None, None, None),
    ],
)
def test_adult_volumes_raise_no_flag(usual: RegionalVolumes) -> None:
    assert plausibility_flags(usual) == ()


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        (volumes(12.0, 15.2, 105.0), ["head 12.0"]),
        (volumes(50.5, 45.0, 105.0), ["neck 45.0"]),
        (volumes(160.0, 15.2, 320.0), ["head 160.0", "combination 320.0"]),
    ],
)
def test_others_are_named_in_one_flag(odd: RegionalVolumes, named: list[str]) -> None:
    (flag,) = plausibility_flags(odd)
    assert flag.code is FlagCode.IMPLAUSIBLE_VOLUME
    assert all(text in flag.message for text in named)
    assert flag.message.count("cm3") == len(named)
