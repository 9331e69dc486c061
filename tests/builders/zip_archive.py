"""Zip archives of given files, and broken ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from service.domain.imaging import Member


def zip_bytes(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files by name; a name that ends with a slash is a folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def write_zip(path: Path, members: Sequence[Member]) -> Path:
    """A zip of members under names that say nothing."""
    path.write_bytes(zip_bytes({f"{m.position:05d}": m.content for m in members}))
    return path


def claim_size(archive: bytes, size: int) -> bytes:
    """The one-file archive, its headers changed to claim another unpacked size."""
    claimed = size.to_bytes(4, "little")
    local, central = archive.index(b"PK\x03\x04"), archive.index(b"PK\x01\x02")
    patched = bytearray(archive)
    patched[local + 22 : local + 26] = claimed
    patched[central + 24 : central + 28] = claimed
    return bytes(patched)
