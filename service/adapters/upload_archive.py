"""A stored upload -> its members, under limits that hold while it is unpacked.

Nothing is written to disk and no name of the archive is used as a path.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.domain.imaging import Member
from service.errors import ArchiveError

MIB = 2**20

CHUNK_BYTES = MIB
"""Read at a time."""

DIRECTORY_BYTES_PER_MEMBER = 512
"""Of the zip's directory, at most: 46, a name and extra fields."""

ENCRYPTED_FLAG = 0x1
"""General purpose bit 0 of a zip entry (APPNOTE 4.4.4)."""

ENTRY_MAGIC = b"PK\x03\x04"
"""How a zip archive with entries begins."""

IGNORED_FOLDER = "__MACOSX/"
"""Resource forks that macOS adds."""

DIRECTORY_NAME = "DICOMDIR"
"""A medium's table of contents (PS3.10 8.6): it may name files that are not there, or not all."""


@dataclass(frozen=True)
class ArchiveLimits:
    """What an upload may hold.

    Attributes:
        archive_bytes: of the file itself.
        members: files in it.
        member_bytes: of one file, unpacked; an enhanced CT file holds a whole series.
        total_bytes: of all files, unpacked.
        ratio: unpacked to packed; CT packs 2:1 to 4:1, an empty phantom about 100:1.
    """

    archive_bytes: int = 2048 * MIB
    members: int = 20_000
    member_bytes: int = 1024 * MIB
    total_bytes: int = 2048 * MIB
    ratio: float = 500.0


class _BoundedFile(io.FileIO):
    """The upload, from which zipfile cannot read a directory of millions of entries at once."""

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        super().__init__(path)
        self._limits = limits
        self._longest = max(CHUNK_BYTES, limits.members * DIRECTORY_BYTES_PER_MEMBER)

    def read(self, size: int | None = -1, /) -> bytes:
        """As FileIO; refuses a read longer than any directory within the limits."""
        if size is not None and size > self._longest:
            raise _too_many_members(self._limits)
        return super().read(size) or b""


def read_members(path: Path, limits: ArchiveLimits) -> tuple[Member, ...]:
    """The files of a zip archive; folders, ``__MACOSX`` and DICOMDIR are left out.

    Several are unpacked at a time: inflating and checksums leave Python's lock.

    Args:
        path: the stored upload.
        limits: checked against what the archive claims, before anything is unpacked; what
            unpacks to more or less than it claims is refused as ``corrupt_archive``.

    Returns:
        Members in the archive's order; ``position`` counts all its files from 1.

    Raises:
        ArchiveError: ``not_a_zip``, ``truncated_archive``, ``corrupt_archive``, ``empty_archive``,
            ``nested_archive``, ``encrypted_archive``, ``unsupported_compression``,
            ``archive_too_large``, ``too_many_members``, ``member_too_large``,
            ``archive_unpacks_too_large``, ``archive_ratio_too_high``.
    """
    size = path.stat().st_size
    if size > limits.archive_bytes:
        raise ArchiveError(
            f"the upload has {size} bytes; at most {limits.archive_bytes} are accepted: send one "
            "CT series only",
            code="archive_too_large",
        )
    try:
        with _BoundedFile(path, limits) as stream, zipfile.ZipFile(stream) as archive:
            members = _unpack(archive, limits, size)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise _unreadable(path, size) from error
    if not members:
        raise ArchiveError(
            "the zip archive holds no file; needed: the DICOM files of one CT series",
            code="empty_archive",
        )
    if all(member.content.startswith(ENTRY_MAGIC) for member in members):
        raise ArchiveError(
            f"the zip archive holds only {len(members)} further zip archive(s); needed: the DICOM "
            "files themselves: unpack the inner archive and send its files in one zip",
            code="nested_archive",
        )
    return members


def _unpack(archive: zipfile.ZipFile, limits: ArchiveLimits, size: int) -> tuple[Member, ...]:
    """The members, one by one; zipfile never yields more than an entry claims."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > limits.members:
        raise _too_many_members(limits)
    for position, entry in enumerate(entries, start=1):
        _check_entry(entry, position, limits)
    _check_total(sum(entry.file_size for entry in entries), limits, size)
    wanted = [(n, entry) for n, entry in enumerate(entries, start=1) if not _is_ignored(entry)]

    def unpack(numbered: tuple[int, zipfile.ZipInfo]) -> Member:
        position, entry = numbered
        with archive.open(entry) as stream:
            content = b"".join(iter(partial(stream.read, CHUNK_BYTES), b""))
        if len(content) != entry.file_size:
            raise zipfile.BadZipFile("shorter than claimed")
        return Member(position, content)

    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(unpack, wanted))


def _is_ignored(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename.rsplit("/", 1)[-1].upper()
    return entry.filename.startswith(IGNORED_FOLDER) or name == DIRECTORY_NAME


def _check_entry(entry: zipfile.ZipInfo, position: int, limits: ArchiveLimits) -> None:
    if entry.flag_bits & ENCRYPTED_FLAG:
        raise ArchiveError(
            f"file {position} of the zip archive is encrypted; send it without a password",
            code="encrypted_archive",
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(
            f"file {position} of the zip archive uses compression method {entry.compress_type}; "
            "stored or deflated is needed: zip the files again with default settings",
            code="unsupported_compression",
        )
    if entry.file_size > limits.member_bytes:
        raise ArchiveError(
            f"file {position} of the zip archive claims {entry.file_size} bytes; at most "
            f"{limits.member_bytes} per file are accepted: send the DICOM files of one CT series",
            code="member_too_large",
        )


def _check_total(claimed: int, limits: ArchiveLimits, size: int) -> None:
    if claimed > limits.total_bytes:
        raise ArchiveError(
            f"the zip archive unpacks to {claimed} bytes; at most {limits.total_bytes} are "
            "accepted: send one CT series only",
            code="archive_unpacks_too_large",
        )
    if claimed > limits.ratio * size:
        raise ArchiveError(
            f"the zip archive unpacks to {claimed} bytes, over {limits.ratio:g} times its own "
            "size, as no CT does: send the DICOM files as exported",
            code="archive_ratio_too_high",
        )


def _too_many_members(limits: ArchiveLimits) -> ArchiveError:
    return ArchiveError(
        f"the zip archive holds more than {limits.members} files or an oversized directory of "
        "them; fewer are needed: send one CT series only",
        code="too_many_members",
    )


def _unreadable(path: Path, size: int) -> ArchiveError:
    """Why zipfile gave up: not a zip at all, cut off, or damaged."""
    with path.open("rb") as stream:
        begins_as_zip = stream.read(len(ENTRY_MAGIC)) == ENTRY_MAGIC
    if not begins_as_zip:
        return ArchiveError(
            f"the upload ({size} bytes) is not a zip archive; needed: one zip of the DICOM files "
            "of one CT series",
            code="not_a_zip",
        )
    if not zipfile.is_zipfile(path):
        return ArchiveError(
            f"the zip archive ends after {size} bytes without its directory; it was cut off: send "
            "it again whole",
            code="truncated_archive",
        )
    return ArchiveError(
        "the zip archive is damaged: a file in it does not unpack to the size and checksum that "
        "the archive states; zip the files again",
        code="corrupt_archive",
    )
