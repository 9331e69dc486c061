"""Programs of others that tests hold our files against."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def peer(command: str, package: str) -> str:
    """The path of a program; without it the test is skipped, except in CI, where it fails.

    Args:
        command: to look for; a path where it is no program but a file of one, such as a plugin.
        package: of Debian, that holds it.
    """
    path = shutil.which(command) or (command if Path(command).is_file() else None)
    if path is None:
        reason = f"no {command} here: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def output_of(*command: object) -> str:
    """What a program writes to both streams, whatever its exit code."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=120,
    )
    return done.stdout.decode(errors="replace")


def dciodvfy_errors(file: Path, iod: str) -> list[str]:
    """What dciodvfy (dicom3tools) calls an error, and if it took the file for another kind.

    Args:
        file: DICOM.
        iod: as dciodvfy names what the file should be.
    """
    lines = output_of(peer("dciodvfy", "dicom3tools"), file).splitlines()
    wrong_kind = [] if iod in lines else [f"not recognised as {iod}"]
    return [*wrong_kind, *(line for line in lines if line.startswith("Error"))]
