"""Members of an upload -> its CT files by series, and a count of everything else by kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from service.domain.imaging import Member
from service.errors import SeriesError
from service.pipeline.dicom_header import Header, parse_header
from service.pipeline.enhanced_ct import frames_of

MODALITY = re.compile(r"[A-Z]{2,16}")
"""A modality that a message may repeat (PS3.3 C.7.3.1.1.1)."""

ENHANCED = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
"""One file holds a whole series."""


class Kind(StrEnum):
    """What a file is to us; the words stand in messages and in the report."""

    CT_SLICE = "CT images"
    ENHANCED_CT = "enhanced multi-frame CT files"
    LOCALIZER = "CT localizers"
    DERIVED = "derived CT images"
    DICOMDIR = "directories (DICOMDIR)"
    OTHER = "DICOM files of other kinds"
    NO_DICOM = "files that are no DICOM"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A CT file and its header."""

    member: Member
    header: Header
    is_enhanced: bool

    def slice_headers(self) -> Iterator[tuple[int | None, Header]]:
        """A frame's number, None for a file of one slice, and its header.

        Raises:
            SeriesError: as ``frames_of``.
        """
        if self.is_enhanced:
            yield from enumerate(frames_of(self.header))
        else:
            yield None, self.header


@dataclass(eq=False)
class SeriesFiles:
    """What the upload holds of one CT series.

    Attributes:
        candidates: files that may be measured.
        instances: SOP Instance UIDs of all its files, those set aside included.
    """

    candidates: list[Candidate] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class UploadContents:
    """An upload, sorted.

    Attributes:
        total: number of files.
        series: CT series by Series Instance UID; at least one.
        set_aside: number of files by kind, those in ``series`` not counted.
    """

    total: int
    series: dict[str, SeriesFiles]
    set_aside: dict[str, int]


def contents_of(members: Iterable[Member]) -> UploadContents:
    """Sort the files of an upload.

    Raises:
        SeriesError: ``no_dicom``, ``corrupt_dicom``, ``no_ct_series``, ``missing_tag``,
            ``invalid_tag``.
    """
    kinds: Counter[Kind] = Counter()
    modalities: Counter[str] = Counter()
    series: dict[str, SeriesFiles] = {}
    for member in members:
        header = parse_header(member)
        kind = Kind.NO_DICOM if header is None else _kind_of(header)
        kinds[kind] += 1
        if header is None or kind is Kind.DICOMDIR:
            continue
        modality = _readable_text(header, "Modality")
        modalities[modality if MODALITY.fullmatch(modality) else "unknown"] += 1
        measurable = kind in (Kind.CT_SLICE, Kind.ENHANCED_CT)
        uid = (
            header.text("SeriesInstanceUID")
            if measurable
            else _readable_text(header, "SeriesInstanceUID")
        )
        files = series.setdefault(uid, SeriesFiles())
        files.instances.add(_readable_text(header, "SOPInstanceUID"))
        if measurable:
            files.candidates.append(Candidate(member, header, kind is Kind.ENHANCED_CT))
    usable = {uid: files for uid, files in series.items() if files.candidates}
    if not usable:
        raise _nothing_to_measure(kinds, modalities)
    set_aside = {
        kind.value: kinds[kind]
        for kind in Kind
        if kinds[kind] and kind not in (Kind.CT_SLICE, Kind.ENHANCED_CT)
    }
    return UploadContents(kinds.total(), usable, set_aside)


def _nothing_to_measure(kinds: Counter[Kind], modalities: Counter[str]) -> SeriesError:
    if not modalities:
        return SeriesError(
            f"none of the {kinds.total()} files of the upload is a DICOM image; needed: the DICOM "
            "files of one CT series, as the scanner or the archive exports them",
            code="no_dicom",
        )
    return SeriesError(
        f"no CT slice found, but {_list_counts(kinds)} (modality: {_list_counts(modalities)}); "
        "needed: one original CT series of the hip",
        code="no_ct_series",
    )


def _kind_of(header: Header) -> Kind:
    sop_class = header.sop_class_uid
    image_type = header.optional_text("ImageType").upper().split("\\")
    is_ct = sop_class == CTImageStorage or (
        not sop_class and header.optional_text("Modality") == "CT"
    )
    if sop_class == MediaStorageDirectoryStorage:
        return Kind.DICOMDIR
    if not is_ct and sop_class not in ENHANCED:
        return Kind.OTHER
    if "LOCALIZER" in (value.strip() for value in image_type):
        return Kind.LOCALIZER
    if image_type[0].strip() == "DERIVED":
        return Kind.DERIVED
    return Kind.ENHANCED_CT if sop_class in ENHANCED else Kind.CT_SLICE


def _readable_text(header: Header, keyword: str) -> str:
    """The value, empty where damaged: that does no harm in a file that is set aside."""
    try:
        return header.optional_text(keyword)
    except SeriesError:
        return ""


def _list_counts(counts: Counter[Kind] | Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
