"""Programs of others that tests hold our files against."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def peer(command: str, package: str) -> str:
    """The path of a program; without it the test is skipped, except in CI, where it fails.

    Args:
        command: to look for.
        package: of Debian, that holds it.
    """
    path = shutil.which(command)
    if path is None:
        reason = f"no {command} on PATH: apt-get install {package}"
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
