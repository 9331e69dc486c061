"""Codes: each is documented, with its exit code, and the tree knows which blame the input."""

import re
from pathlib import Path

import pytest

from service import cli
from service.api.problems import STATUS
from service.errors import INPUT_CODES, InputError, ServiceError
from tests.builders.error_codes import TREE, WORKER_ONLY, known_codes

DOCS = Path(__file__).parents[2] / "docs"
INPUT_ROW = re.compile(r"^\| `([a-z0-9_]+)` \| [^|0-9][^|]+ \| [^|]+ \|$", re.MULTILINE)
FAULT_ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([0-9, ]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)

JOB_STATES = {"cancelled", "expired"}
"""``submit`` prints the state of a job that ended without an error as its code."""

PRINTED = {"io_error", "service_refused"}
"""Codes of the command line that no class carries: an OSError, and a refusal without a code."""


def documented() -> tuple[list[str], dict[str, set[int]]]:
    """Codes of unusable input, and the others with their exit codes."""
    text = (DOCS / "errors.md").read_text("utf-8")
    faults = {
        code: {int(one) for one in found.split(", ")} for code, found in FAULT_ROW.findall(text)
    }
    return INPUT_ROW.findall(text), faults


def test_every_input_error_is_documented_once_and_no_other() -> None:
    codes, _ = documented()
    assert len(codes) == len(set(codes))
    assert set(codes) == INPUT_CODES


def test_every_other_code_is_documented_here_or_with_the_api() -> None:
    _, faults = documented()
    raised = set(known_codes()) | JOB_STATES | PRINTED
    assert set(faults) <= raised
    assert raised - INPUT_CODES - set(STATUS) <= set(faults)


def test_every_documented_exit_code_is_what_the_command_line_ends_with() -> None:
    _, faults = documented()
    for code, kinds in known_codes().items():
        if code in faults:
            assert {cli.exit_code(kind("x", code=code)) for kind in kinds} == faults[code], code


@pytest.mark.parametrize("kind", [kind for kind in TREE.values() if issubclass(kind, InputError)])
def test_a_class_lists_every_code_that_it_is_raised_with(kind: type[InputError]) -> None:
    assert kind.codes == {code for code, kinds in known_codes().items() if kind in kinds}
    assert kind.codes <= INPUT_CODES


def test_a_code_blames_the_input_or_something_else_never_both() -> None:
    for kinds in known_codes().values():
        assert len({issubclass(kind, InputError) for kind in kinds}) == 1


def test_codes_are_snake_case() -> None:
    every = set(known_codes()) | WORKER_ONLY | JOB_STATES | PRINTED
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for code in every)


def test_an_error_carries_its_own_code_or_that_of_its_class() -> None:
    assert InputError("sentence").code == "unusable_input"
    assert ServiceError("sentence").code == "service_unavailable"
    assert InputError("sentence", code="mine").code == "mine"
    assert str(InputError("sentence", code="mine")) == InputError("sentence").detail == "sentence"
