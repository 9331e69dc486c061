import zipfile
from pathlib import Path

import pytest

from service.adapters.upload_archive import CHUNK_BYTES, ArchiveLimits, read_members
from service.errors import ArchiveError
from tests.builders.zip_archive import claim_size, zip_bytes


def _read(tmp_path: Path, upload: bytes, limits: ArchiveLimits | None = None) -> list[tuple]:
    path = tmp_path / "upload"
    path.write_bytes(upload)
    members = read_members(path, limits or ArchiveLimits())
    assert list(tmp_path.iterdir()) == [path], "nothing is written"
    return [(member.position, member.content) for member in members]


def _code(tmp_path: Path, upload: bytes, limits: ArchiveLimits | None = None) -> str:
    with pytest.raises(ArchiveError) as caught:
        _read(tmp_path, upload, limits)
    return caught.value.code


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_come_in_the_archives_order_counted_from_1(tmp_path: Path, method: int) -> None:
    upload = zip_bytes({"b": b"first", "a": b"second"}, method)
    assert _read(tmp_path, upload) == [(1, b"first"), (2, b"second")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_longer_than_one_chunk_comes_whole(tmp_path: Path, method: int) -> None:
    content = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"end"
    limits = ArchiveLimits(members=1)
    assert _read(tmp_path, zip_bytes({"a": content}, method), limits) == [(1, content)]


def test_folders_are_not_counted_and_mac_forks_not_read(tmp_path: Path) -> None:
    upload = zip_bytes({"d/": b"", "d/a": b"1", "__MACOSX/d/._a": b"fork", "d/b": b"2"})
    assert _read(tmp_path, upload) == [(1, b"1"), (3, b"2")]


def test_a_dicomdir_is_never_opened(tmp_path: Path) -> None:
    upload = zip_bytes({"DICOMDIR": b"1", "disc/DICOMDIR": b"2", "disc/a": b"3"})
    assert _read(tmp_path, upload) == [(3, b"3")]


def test_names_that_climb_out_are_only_names(tmp_path: Path) -> None:
    upload = zip_bytes({"../../etc/passwd": b"1", "/abs": b"2"})
    assert _read(tmp_path, upload) == [(1, b"1"), (2, b"2")]


@pytest.mark.parametrize("upload", [b"", b"not a zip", b"DICM" * 100])
def test_other_bytes_are_not_a_zip(tmp_path: Path, upload: bytes) -> None:
    assert _code(tmp_path, upload) == "not_a_zip"


@pytest.mark.parametrize("files", [{}, {"folder/": b""}, {"__MACOSX/._a": b"fork"}])
def test_a_zip_without_files_is_empty(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert _code(tmp_path, zip_bytes(files)) == "empty_archive"


def test_a_cut_off_zip_is_truncated(tmp_path: Path) -> None:
    upload = zip_bytes({"a": bytes(1000), "b": bytes(1000)}, zipfile.ZIP_STORED)
    assert _code(tmp_path, upload[:1500]) == "truncated_archive"


def test_changed_content_fails_its_checksum(tmp_path: Path) -> None:
    upload = zip_bytes({"a": b"x" * 1000}, zipfile.ZIP_STORED).replace(b"xxx", b"xyx", 1)
    assert _code(tmp_path, upload) == "corrupt_archive"


def test_zips_within_a_zip_are_refused_where_nothing_else_is_there(tmp_path: Path) -> None:
    inner = zip_bytes({"a": b"1"})
    assert _code(tmp_path, zip_bytes({"series.zip": inner})) == "nested_archive"
    assert len(_read(tmp_path, zip_bytes({"series.zip": inner, "a": b"1"}))) == 2


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    upload = bytearray(zip_bytes({"a": b"1"}))
    upload[upload.index(b"PK\x01\x02") + 8] |= 1
    assert _code(tmp_path, bytes(upload)) == "encrypted_archive"


def test_other_compression_is_refused(tmp_path: Path) -> None:
    assert _code(tmp_path, zip_bytes({"a": b"1"}, zipfile.ZIP_LZMA)) == "unsupported_compression"


def test_limits_hold_to_the_byte(tmp_path: Path) -> None:
    upload = zip_bytes({"a": b"12345", "b": b"123"}, zipfile.ZIP_STORED)
    enough = ArchiveLimits(
        archive_bytes=len(upload), members=2, member_bytes=5, total_bytes=8, ratio=1
    )
    assert len(_read(tmp_path, upload, enough)) == 2


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (ArchiveLimits(archive_bytes=100), "archive_too_large"),
        (ArchiveLimits(members=1), "too_many_members"),
        (ArchiveLimits(member_bytes=4), "member_too_large"),
        (ArchiveLimits(total_bytes=7), "archive_unpacks_too_large"),
        (ArchiveLimits(ratio=0.01), "archive_ratio_too_high"),
    ],
)
def test_each_limit_has_its_code(tmp_path: Path, limits: ArchiveLimits, code: str) -> None:
    upload = zip_bytes({"a": b"12345", "b": b"123"}, zipfile.ZIP_STORED)
    assert _code(tmp_path, upload, limits) == code


def test_a_claim_of_3_gb_is_refused_before_unpacking(tmp_path: Path) -> None:
    upload = claim_size(zip_bytes({"a": b"1" * 100}), 3_000_000_000)
    assert _code(tmp_path, upload) == "member_too_large"


@pytest.mark.parametrize("claimed", [10, 1_000_000])
def test_a_claim_that_unpacking_belies_is_refused(tmp_path: Path, claimed: int) -> None:
    upload = claim_size(zip_bytes({"a": bytes(100_000)}), claimed)
    limits = ArchiveLimits(ratio=1e6)
    assert _code(tmp_path, upload, limits) == "corrupt_archive"


def test_a_zip_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    assert _code(tmp_path, zip_bytes({"a": bytes(50_000_000)})) == "archive_ratio_too_high"


def test_an_oversized_directory_is_not_read(tmp_path: Path) -> None:
    files = {"n" * 60_000 + str(i): b"" for i in range(20)}
    assert _code(tmp_path, zip_bytes(files), ArchiveLimits(members=100)) == "too_many_members"


def test_messages_hold_no_file_name(tmp_path: Path) -> None:
    upload = zip_bytes({"Doe_Jane_4711.dcm": b"12345"})
    with pytest.raises(ArchiveError) as caught:
        _read(tmp_path, upload, ArchiveLimits(member_bytes=1))
    assert "Doe" not in str(caught.value)
    assert "file 1" in str(caught.value)
