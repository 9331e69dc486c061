"""``python -m model_export phantom``: anatomical phantoms as training or evaluation cases."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the cases.")],
    count: Annotated[int, typer.Option(help="Phantoms; two femurs each.", min=1)] = 20,
    first_seed: Annotated[
        int, typer.Option(help="From 5000 on for training, 4000 to 4099 held out for evaluation.")
    ] = 5000,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Write both femurs of anatomical phantoms; cases already there are kept."""
    from model_export.phantom import write_anatomical_phantoms

    started = time.monotonic()
    written = 0
    for path in write_anatomical_phantoms(range(first_seed, first_seed + count), out, workers):
        typer.echo(path)
        written += 1
    if written:
        minutes = (time.monotonic() - started) / 60
        typer.echo(f"{written} cases, {written / minutes / workers:.1f} per minute and process")
