"""Members of an upload -> one validated CT series, its slices in order (PS3.3 A.3, C.7.6.2)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from service.domain.imaging import CtSeries, Member
from service.errors import SeriesError
from service.pipeline.dicom_header import Header, parse_header
from service.pipeline.slice_header import UNIT_TOLERANCE, SliceHeader, read_slice_header
from service.pipeline.slice_stack import grid_of, order_along_normal

MIN_SLICES = 3
"""The fewest whose spacing can be checked: two slices have one gap, and nothing to compare it with.

A series of fewer is set aside (scouts, bolus tracking)."""

MODALITY = re.compile(r"[A-Z]{2,16}")
"""A modality that a message may repeat (PS3.3 C.7.3.1.1.1)."""

SHOWABLE_UID = re.compile(r"[0-9a-f.]{1,64}")
"""A UID that a message may repeat (PS3.5 section 9); some anonymisers write a hexadecimal hash."""


class _Kind(StrEnum):
    """What a file is to us."""

    CT_SLICE = "CT images"
    ENHANCED_CT = "enhanced multi-frame CT files"
    LOCALIZER = "CT localizers"
    DERIVED = "derived CT images"
    OTHER = "files of other kinds"


@dataclass(frozen=True, eq=False)
class _Candidate:
    member: Member
    header: Header


def read_series(members: Iterable[Member], *, series_instance_uid: str | None = None) -> CtSeries:
    """Choose, check and order the one CT series of an upload.

    Set aside: files that are no DICOM, other modalities, localizers, derived images, series of
    fewer than ``MIN_SLICES``.

    Args:
        members: the upload's files.
        series_instance_uid: which series to take; needed where several remain.

    Raises:
        SeriesError: ``no_dicom``, ``corrupt_dicom``, ``no_ct_series``, ``enhanced_ct_unsupported``,
            ``too_few_slices``, ``several_series``, ``series_not_found``, ``mixed_series``,
            ``missing_tag``, ``invalid_tag``, and those of ``slice_stack``.
    """
    total, series = _ct_series_of(members)
    chosen = _choose(series, series_instance_uid)
    headers = [read_slice_header(c.member, c.header) for c in series[chosen]]
    ordered = order_along_normal(_only_stack(headers))
    _require_slices(len(ordered))
    first = ordered[0]
    frames = {header.frame_of_reference_uid for header in ordered}
    return CtSeries(
        series_instance_uid=chosen,
        study_instance_uid=first.study_instance_uid,
        frame_of_reference_uid=frames.pop() if len(frames) == 1 else "",
        slices=tuple(header.ct_slice for header in ordered),
        geometry=grid_of(ordered),
        patient_position=first.patient_position,
        set_aside=total - len(ordered),
    )


def _ct_series_of(members: Iterable[Member]) -> tuple[int, dict[str, list[_Candidate]]]:
    """Number of members, and CT slices by Series Instance UID."""
    total = 0
    kinds: Counter[_Kind] = Counter()
    modalities: Counter[str] = Counter()
    series: defaultdict[str, list[_Candidate]] = defaultdict(list)
    for member in members:
        total += 1
        header = parse_header(member)
        if header is None:
            continue
        kind = _kind_of(header)
        kinds[kind] += 1
        modality = header.optional_text("Modality")
        modalities[modality if MODALITY.fullmatch(modality) else "unknown"] += 1
        if kind is _Kind.CT_SLICE:
            series[header.text("SeriesInstanceUID")].append(_Candidate(member, header))
    if not kinds:
        raise SeriesError(
            f"none of the {total} files of the upload is a DICOM file; needed: the DICOM files of "
            "one CT series, as the scanner or the archive exports them",
            code="no_dicom",
        )
    if kinds[_Kind.ENHANCED_CT] and not any(len(c) >= MIN_SLICES for c in series.values()):
        raise SeriesError(
            "the CT is in enhanced multi-frame format (1.2.840.10008.5.1.4.1.1.2.1), which is not "
            "read; needed: CT Image Storage, one file per slice: convert it (dcm4che emf2sf)",
            code="enhanced_ct_unsupported",
        )
    if not series:
        raise SeriesError(
            f"no CT slice found, but {_list_counts(kinds)} (modality: {_list_counts(modalities)}); "
            "needed: one original axial CT series of the hip",
            code="no_ct_series",
        )
    return total, dict(series)


def _kind_of(header: Header) -> _Kind:
    sop_class = header.sop_class_uid
    image_type = header.optional_text("ImageType").upper().split("\\")
    is_ct = sop_class == CTImageStorage or (
        not sop_class and header.optional_text("Modality") == "CT"
    )
    is_enhanced = sop_class in (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
    if not is_ct and not is_enhanced:
        return _Kind.OTHER
    if "LOCALIZER" in (value.strip() for value in image_type):
        return _Kind.LOCALIZER
    if image_type[0].strip() == "DERIVED":
        return _Kind.DERIVED
    return _Kind.ENHANCED_CT if is_enhanced else _Kind.CT_SLICE


def _choose(series: dict[str, list[_Candidate]], wanted: str | None) -> str:
    """The Series Instance UID to read."""
    if wanted is not None:
        if wanted not in series:
            raise SeriesError(
                f"series {wanted[:64]} is not in the upload, which holds {_list_series(series)}; "
                "pass one of these as series_instance_uid",
                code="series_not_found",
            )
        return wanted
    usable = [uid for uid, candidates in series.items() if len(candidates) >= MIN_SLICES]
    if not usable:
        _require_slices(max(len(candidates) for candidates in series.values()))
    if len(usable) > 1:
        raise SeriesError(
            f"the upload holds {len(usable)} CT series: {_list_series(series)}; one is needed: "
            "send one series, or pass its UID as series_instance_uid",
            code="several_series",
        )
    return usable[0]


def _only_stack(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The one group of slices that share matrix and orientation.

    The frame of reference is no part of it: some anonymisers give every file its own.
    """
    stacks: list[list[SliceHeader]] = []
    for header in headers:
        for stack in stacks:
            if _belongs(header, stack[0]):
                stack.append(header)
                break
        else:
            stacks.append([header])
    usable = [stack for stack in stacks if len(stack) >= MIN_SLICES]
    if not usable:
        _require_slices(max(len(stack) for stack in stacks))
    if len(usable) > 1:
        sizes = ", ".join(str(len(stack)) for stack in usable)
        raise SeriesError(
            f"the series holds {len(usable)} stacks ({sizes} slices) that differ in orientation "
            "or matrix; one is needed: send one stack only",
            code="mixed_series",
        )
    return usable[0]


def _belongs(header: SliceHeader, other: SliceHeader) -> bool:
    return bool(
        header.shape == other.shape
        and np.abs(header.orientation - other.orientation).max() <= UNIT_TOLERANCE
    )


def _require_slices(found: int) -> None:
    if found < MIN_SLICES:
        raise SeriesError(
            f"the largest stack of CT slices has {found}, copies not counted; at least "
            f"{MIN_SLICES} are needed to make a volume: send the whole series",
            code="too_few_slices",
        )


def _list_counts(counts: Counter[_Kind] | Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


def _list_series(series: dict[str, list[_Candidate]]) -> str:
    return ", ".join(
        f"{uid if SHOWABLE_UID.fullmatch(uid) else 'one with a malformed UID'} ({len(c)} slices)"
        for uid, c in sorted(series.items())
    )
