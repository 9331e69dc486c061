"""A code means what the dictionary it comes from says, or names its other source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from service.artifacts import dicom_codes
from service.artifacts.dicom_codes import (
    ANATOMICAL_STRUCTURE,
    ARTIFICIAL_INTELLIGENCE,
    BONE,
    CT_PROCEDURE,
    CUBIC_CENTIMETER,
    DEVICE,
    FEMUR,
    GREATER_TROCHANTER,
    HEAD_OF_FEMUR,
    IMAGING_REPORT,
    LATERALITY,
    NECK_OF_FEMUR,
    OWN_SCHEME,
    PROXIMAL_FEMUR,
    TISSUE,
    VOLUME,
)

IN_NO_CONTEXT_GROUP = (NECK_OF_FEMUR, GREATER_TROCHANTER)
"""Their docstrings name the source."""

DOCUMENTED = (Path(__file__).parents[3] / "docs" / "dicom_out.md").read_text(encoding="utf-8")


def _codes_in(value: object) -> Iterator[Code]:
    if isinstance(value, Code):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _codes_in(part)
    elif isinstance(value, dict):
        yield from _codes_in(list(value.values()))


ALL = {tuple(code): code for code in _codes_in(list(vars(dicom_codes).values()))}.values()


def _name(code: Code) -> str:
    return f"{code.scheme_designator}-{code.value}"


@pytest.mark.parametrize(
    "code",
    [c for c in ALL if c.scheme_designator != OWN_SCHEME and c not in IN_NO_CONTEXT_GROUP],
    ids=_name,
)
def test_value_and_meaning_agree_with_dicom_s_dictionary(code: Code) -> None:
    scheme = getattr(codes, code.scheme_designator).concepts.values()
    assert code.meaning in {known.meaning for known in scheme if known.value == code.value}


@pytest.mark.parametrize(
    ("cid", "members"),
    [
        (4, [FEMUR]),
        (100, [CT_PROCEDURE]),
        (244, list(LATERALITY.values())),
        (270, [DEVICE]),
        (7021, [IMAGING_REPORT]),
        (7150, [ANATOMICAL_STRUCTURE, TISSUE]),
        (7162, [ARTIFICIAL_INTELLIGENCE]),
        (7191, [BONE]),
        (7192, [FEMUR]),
        (7304, [PROXIMAL_FEMUR, HEAD_OF_FEMUR]),
        (7462, [CUBIC_CENTIMETER]),
        (7469, [VOLUME]),
    ],
)
def test_a_code_stands_in_the_context_group_it_names(cid: int, members: list[Code]) -> None:
    group = getattr(codes, f"CID{cid}").concepts.values()
    assert {tuple(code) for code in members} <= {tuple(known) for known in group}


@pytest.mark.parametrize("code", IN_NO_CONTEXT_GROUP, ids=_name)
def test_a_code_with_another_source_is_in_no_context_group(code: Code) -> None:
    """Once pydicom lists it, its meaning is to be compared like the others'."""
    assert code not in codes.SCT.concepts.values()


@pytest.mark.parametrize("code", [c for c in ALL if c.scheme_designator == OWN_SCHEME], ids=_name)
def test_an_own_code_is_documented_and_fits_its_attributes(code: Code) -> None:
    """Code Value and Code Meaning are SH and LO: 16 and 64 characters (PS3.5, 6.2)."""
    assert f"`{code.value}`" in DOCUMENTED
    assert len(code.value) <= 16
    assert len(code.meaning) <= 64
