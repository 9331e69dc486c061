"""Where a CT file keeps its pixels, and what their bits mean (PS3.3 C.7.6.3, PS3.5 7.1, 8, A.4)."""

from __future__ import annotations

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from service.domain.imaging import Member, StoredPixels
from service.pipeline.dicom_header import Header

PARSED_WHOLE = (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
"""Rare syntaxes whose pixels do not lie in the file as they are."""

PIXEL_DATA = b"\xe0\x7f\x10\x00"
"""Tag (7FE0,0010), little endian."""

LONG_VRS = (b"OB", b"OW", b"UN")
"""Pixel Data come as these; two reserved bytes and a length of four follow (PS3.5 7.1.2)."""

UNDEFINED_LENGTH = 0xFFFFFFFF
"""Of encapsulated pixels (PS3.5 A.4)."""

ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
"""Tags before a fragment and after the last (PS3.5 7.5)."""


def read_stored_pixels(member: Member, header: Header, frame: int | None) -> StoredPixels:
    """What decoding a slice needs; that the bytes suffice is left to it.

    Args:
        member: the file.
        header: of the file, or of one frame of it.
        frame: None for a file of one slice.

    Raises:
        SeriesError: ``missing_tag`` or ``invalid_tag``.
    """
    stored = header.count("BitsStored")
    if header.numbers("HighBit", 1) != (stored - 1,):
        raise header.invalid("HighBit", "one below (0028,0101) Bits Stored")
    signs = header.numbers("PixelRepresentation", 1)
    if signs not in ((0,), (1,)):
        raise header.invalid("PixelRepresentation", "0 or 1")
    padding = header.optional_numbers("PixelPaddingValue", 1)
    if padding:
        padding += header.optional_numbers("PixelPaddingRangeLimit", 1)
    begin, length = _place(member.content, header) if frame is None else (0, None)
    return StoredPixels(
        transfer_syntax_uid=header.transfer_syntax_uid,
        bits_allocated=header.count("BitsAllocated"),
        bits_stored=stored,
        is_signed=signs == (1,),
        padding=tuple(int(value) for value in padding),
        begin=begin,
        length=length,
    )


def _place(content: bytes, header: Header) -> tuple[int, int | None]:
    """Where Pixel Data's value begins and its length: 0 where it is absent or cut off.

    None where pydicom must parse the whole file to tell.
    """
    at = header.end
    if header.transfer_syntax_uid in PARSED_WHOLE:
        return 0, None
    if content[at : at + 4] != PIXEL_DATA:
        return at, 0
    implicit, _ = header.dataset.original_encoding
    if implicit:
        begin = at + 8
    elif content[at + 4 : at + 6] in LONG_VRS:
        begin = at + 12
    else:
        return 0, None
    length = int.from_bytes(content[begin - 4 : begin], "little")
    if length == UNDEFINED_LENGTH:
        return begin, _fragments_length(content, begin)
    return begin, max(0, min(length, len(content) - begin))


def _fragments_length(content: bytes, begin: int) -> int:
    """Of all items before the sequence's end; 0 where that is not found."""
    at = begin
    while content[at : at + 4] == ITEM:
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
    return at - begin if content[at : at + 4] == SEQUENCE_END else 0
