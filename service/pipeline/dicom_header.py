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
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from service.domain.imaging import Member
from service.errors import SeriesError

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
)
"""All that choosing and ordering slices needs; nothing else, and no patient's name, is read.

Patient ID is only compared, so that two patients are not taken for one; no message shows it."""

MAGIC = b"DICM"
"""After a preamble of 128 bytes (PS3.10, section 7.1)."""

FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""A file without preamble begins with group 0002 or 0008, little endian."""

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
"""A decimal string (PS3.5 6.2, DS and IS)."""

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
        dataset: as pydicom parsed it.
    """

    position: int
    dataset: FileDataset

    @property
    def sop_class_uid(self) -> str:
        """What kind of object the file holds; empty where it does not say."""
        return self.optional_text("SOPClassUID") or self.meta_text("MediaStorageSOPClassUID")

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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = dataset.get(keyword)
        except Exception as error:  # pydicom raises whatever the bytes provoke
            raise self.unreadable(keyword) from error
        if value is None:
            return ""
        parts = value if isinstance(value, list | tuple | MultiValue) else [value]
        return "\\".join(str(part).strip() for part in parts)


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
        header = Header(member.position, parse_dataset(member, HEADER_KEYWORDS))
    except SeriesError:
        if has_magic:
            raise
        return None
    if header.sop_class_uid or header.optional_text("Modality"):
        return header
    if has_magic:
        raise _corrupt(member, "neither SOP class nor modality")
    return None


def parse_dataset(member: Member, keywords: tuple[str, ...] | None = None) -> FileDataset:
    """The member as pydicom parses it: only ``keywords`` and no pixels, or all of it.

    Raises:
        SeriesError: ``corrupt_dicom``.
    """
    try:
        _check_inflated_size(member.content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # quoting values: noise at best, a name at worst
            dataset = pydicom.dcmread(
                io.BytesIO(member.content),
                force=True,
                stop_before_pixels=keywords is not None,
                specific_tags=None if keywords is None else list(keywords),
            )
    except Exception as error:  # pydicom raises whatever the bytes provoke
        raise _corrupt(member, type(error).__name__) from error
    return dataset


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
