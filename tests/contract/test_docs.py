"""What the documents name exists: make targets, commands, options, links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import typer.main

from service.cli import app
from service.domain.findings import FemurReport, FlagCode
from service.domain.frozen import Frozen

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
COMMANDS = typer.main.get_group(app).commands

documents = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def code_of(document: Path) -> list[str]:
    """Inline code and indented or fenced code lines."""
    text = document.read_text("utf-8")
    indented = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    fenced = [
        line
        for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    return [*re.findall(r"`([^`\n]+)`", text), *indented, *fenced]


def keys_of(annotation: object) -> set[str]:
    """Keys of a model and of all models in it."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        fields = annotation.model_fields
        return set(fields).union(*(keys_of(field.annotation) for field in fields.values()))
    return set().union(*(keys_of(part) for part in get_args(annotation)))


@documents
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    named = {m[1] for code in code_of(document) if (m := re.match(r"make ([a-z-]+)", code))}

    assert named <= TARGETS


@documents
def test_every_command_and_option_that_is_named_exists(document: Path) -> None:
    for code in code_of(document):
        found = re.match(r"femurct ([a-z]+)(.*)", code)
        if not found:
            continue
        command = COMMANDS.get(found[1])
        assert command is not None, code
        options = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", found[2].split("#")[0])) <= options | {"--help"}, code


@documents
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"(?<!!)\[[^\]]+\]\(([^)#]+)[^)]*\)", document.read_text("utf-8"))

    missing = [
        link
        for link in links
        if not link.startswith(("http://", "https://")) and not (document.parent / link).exists()
    ]

    assert missing == []


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")

    assert {name for name in COMMANDS if f"femurct {name}" not in text} == set()


def test_every_quality_flag_is_documented() -> None:
    documents = "".join(document.read_text("utf-8") for document in DOCUMENTS)

    assert {code for code in FlagCode if code not in documents} == set()


def test_every_key_of_a_femur_is_defined_with_the_regions_or_the_measurements() -> None:
    # the cohorts' document sends its readers there
    written = {
        name
        for document in ("regions.md", "measurements.md")
        for code in code_of(ROOT / "docs" / document)
        for name in re.findall(r"\w+", code)
    }

    assert keys_of(FemurReport) - written == set()


def test_every_make_target_is_documented() -> None:
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS)

    assert {target for target in TARGETS if f"make {target}" not in text} == {"help"}


def test_the_lock_file_names_no_place_and_no_torch() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]

    assert all(re.match(r"[a-z0-9.-]+==[\w.+]+( ;.*)?$", pin) for pin in pins)
    assert not [pin for pin in pins if pin.startswith(("torch==", "nvidia-"))]
