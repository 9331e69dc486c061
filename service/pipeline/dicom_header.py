"""One file's DICOM header, read tag by tag: every value is checked or refused by the tag's name."""

from __future__ import annotations

import io
import math
import re
import warnings
import zlib
from dataclasses import dataclass

import pydicom
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.domain.imaging import Member
from service.errors import SeriesError
from service.pipeline.element_text import NUMBER, text_of

HEADER_KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "PatientPosition",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PatientID",
    "BodyPartExamined",
    "ProtocolName",
    "SeriesDescription",
    "ConvolutionKernel",
    "GantryDetectorTilt",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)
"""All that a volume needs besides the pixels; nothing else, and no patient's name, is read.

Patient ID is only compared, so that two patients are not taken for one; no message shows it."""

HEADER_TAGS = tuple(Tag(keyword) for keyword in HEADER_KEYWORDS)

MAGIC = b"DICM"
"""After a preamble of 128 bytes (PS3.10, section 7.1)."""

FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""A file without preamble begins with group 0002 or 0008, little endian."""

SHOWABLE = re.compile(r"[\d.eE+\-\\ naif]{1,100}|[A-Z_]{1,16}[12]?", re.ASCII)
"""What a message repeats of a value, numbers and code words; other text might be a name."""

MAX_META_BYTES = 4096
"""Where file meta information, which names the transfer syntax, has ended in any real file."""

MAX_INFLATED_BYTES = 64 * 2**20
"""Of one file in the deflated transfer syntax: a hundred times a CT slice, and no zip bomb."""


@dataclass(frozen=True, eq=False)
class Header:
    """Checked reads from one file.

    Attributes:
        position: the file's place in the upload, from 1.
        dataset: as pydicom parsed it, without pixels.
        end: where the header ends and Pixel Data begin; the file's end where there are none.
    """

    position: int
    dataset: FileDataset
    end: int

    @property
    def sop_class_uid(self) -> str:
        """What kind of object the file holds; empty where it does not say."""
        return self.optional_text("SOPClassUID") or self.meta_text("MediaStorageSOPClassUID")

    @property
    def transfer_syntax_uid(self) -> str:
        """As the file says; where it has no file meta information, as it was parsed."""
        named = self.meta_text("TransferSyntaxUID")
        if named:
            return named
        implicit, _ = self.dataset.original_encoding
        return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian

    def meta_text(self, keyword: str) -> str:
        """A value of the file meta information as text; empty when absent."""
        return self._text(self.dataset.file_meta, keyword)

    def optional_text(self, keyword: str) -> str:
        """The value as stripped text, values joined by a backslash; empty when absent."""
        return self._text(self.dataset, keyword)

    def text(self, keyword: str) -> str:
        """The value as text.

        Raises:
            SeriesError: ``missing_tag``.
        """
        text = self.optional_text(keyword)
        if not text:
            raise self.missing(keyword, "a value")
        return text

    def numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """Exactly ``count`` finite numbers.

        Raises:
            SeriesError: ``missing_tag`` or ``invalid_tag``.
        """
        need = f"{count} finite number{'s' if count > 1 else ''}"
        text = self.optional_text(keyword)
        if not text:
            raise self.missing(keyword, need)
        parts = text.split("\\")
        if len(parts) != count or not all(NUMBER.fullmatch(part) for part in parts):
            raise self.invalid(keyword, need)
        numbers = tuple(float(part) for part in parts)
        if not all(math.isfinite(number) for number in numbers):
            raise self.invalid(keyword, need)
        return numbers

    def optional_numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """Exactly ``count`` finite numbers, or none where the tag is absent or empty.

        Raises:
            SeriesError: ``invalid_tag``.
        """
        return self.numbers(keyword, count) if self.optional_text(keyword) else ()

    def count(self, keyword: str) -> int:
        """A whole number above 0.

        Raises:
            SeriesError: ``missing_tag`` or ``invalid_tag``.
        """
        (number,) = self.numbers(keyword, 1)
        if number < 1 or not number.is_integer():
            raise self.invalid(keyword, "a whole number above 0")
        return int(number)

    def missing(self, keyword: str, need: str) -> SeriesError:
        """The refusal of a file that lacks a tag."""
        return SeriesError(
            f"file {self.position}: tag {name_of(keyword)} is missing or empty; needed: {need}; "
            "export the series again from the scanner or the archive with this tag",
            code="missing_tag",
        )

    def invalid(self, keyword: str, need: str) -> SeriesError:
        """The refusal of a file with an impossible value."""
        text = self.optional_text(keyword)
        found = f'"{text}"' if SHOWABLE.fullmatch(text) else f"text of {len(text)} characters"
        return SeriesError(
            f"file {self.position}: tag {name_of(keyword)} is {found}; needed: {need}; "
            "export the series again from the scanner or the archive",
            code="invalid_tag",
        )

    def unreadable(self, keyword: str) -> SeriesError:
        """The refusal of a file with a value that is not of its tag's type."""
        return SeriesError(
            f"file {self.position}: tag {name_of(keyword)} cannot be read as its type "
            "demands; export the series again from the scanner or the archive",
            code="invalid_tag",
        )

    def _text(self, dataset: Dataset, keyword: str) -> str:
        try:
            return text_of(dataset, keyword)
        except Exception as error:  # pydicom raises whatever the bytes provoke
            raise self.unreadable(keyword) from error


def name_of(keyword: str) -> str:
    """A tag as people look it up, such as ``(0028,1053) Rescale Slope``."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    return f"({tag.group:04X},{tag.element:04X}) {dictionary_description(tag)}"


def parse_header(member: Member) -> Header | None:
    """The header of a member, without pixels; None where the member is no DICOM file.

    Raises:
        SeriesError: ``corrupt_dicom`` for a file that says it is DICOM and cannot be parsed.
    """
    has_magic = member.content[128:132] == MAGIC
    if not has_magic and member.content[:2] not in FIRST_GROUPS:
        return None
    try:
        header = _parse(member, HEADER_TAGS)
    except SeriesError:
        if has_magic:
            raise
        return None
    if header.sop_class_uid or header.optional_text("Modality"):
        return header
    if has_magic:
        raise _corrupt(member, "neither SOP class nor modality")
    return None


def parse_dataset(member: Member) -> FileDataset:
    """The member as pydicom parses it, pixels included.

    Raises:
        SeriesError: ``corrupt_dicom``.
    """
    return _parse(member, None).dataset


def _parse(member: Member, tags: tuple[BaseTag, ...] | None) -> Header:
    """Only ``tags`` and no pixels, or all of it."""
    stream = io.BytesIO(member.content)
    try:
        _check_inflated_size(member.content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # quoting values: noise at best, a name at worst
            dataset = pydicom.dcmread(
                stream,
                force=True,
                stop_before_pixels=tags is not None,
                specific_tags=None if tags is None else list(tags),
            )
    except Exception as error:  # pydicom raises whatever the bytes provoke
        raise _corrupt(member, type(error).__name__) from error
    return Header(member.position, dataset, stream.tell())


def data_set_bytes(member: Member) -> memoryview:
    """What follows the file meta information, which differs between two exports of one image."""
    return memoryview(member.content)[_meta_end(member.content) :]


def _meta_end(content: bytes) -> int:
    """Where the data set begins (PS3.10 7.1); 0 in a file without preamble."""
    if content[128:132] != MAGIC:
        return 0
    return 144 + int.from_bytes(content[140:144], "little")


def _corrupt(member: Member, reason: str) -> SeriesError:
    return SeriesError(
        f"file {member.position} is a DICOM file that cannot be parsed ({reason}); it may be cut "
        "off: send it again whole",
        code="corrupt_dicom",
    )


def _check_inflated_size(content: bytes) -> None:
    """Nothing for most files; for a deflated one (PS3.5 A.5), that it inflates to a bounded size.

    Raises:
        ValueError: if it does not.
    """
    if DeflatedExplicitVRLittleEndian.encode() not in content[132:MAX_META_BYTES]:
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(content[_meta_end(content) :], MAX_INFLATED_BYTES)
    if not inflater.eof:
        raise ValueError("deflated data set too large or cut off")
