"""The folder a command leaves its results in: complete, or not there at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_usable(folder: Path) -> bool:
    """Whether results may be put there: it does not exist yet, or is an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


@contextmanager
def filled_or_absent(folder: Path) -> Iterator[Path]:
    """A folder to write into that becomes ``folder`` only when the block ends well.

    The files lie beside the place they are meant for (same file system), so that the last step is
    one rename; whatever ends the block early, Ctrl-C included, removes them.

    Args:
        folder: where the results shall be; missing parents are made in the end.

    Yields:
        The folder to write into.

    Raises:
        OSError: if the place cannot be written to, or ``folder`` was filled by somebody meanwhile.
    """
    folder = folder.absolute()
    ancestor = next(parent for parent in folder.parents if parent.exists())
    partial = ancestor / f".{folder.name}.{secrets.token_hex(4)}.partial"
    partial.mkdir()
    try:
        yield partial
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
