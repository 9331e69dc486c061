"""Members of an upload -> one validated CT series, its slices in order (PS3.3 A.3, C.7.6.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from service.domain.findings import FlagCode, GeometryVerdict, QualityFlag, Severity
from service.domain.imaging import CtSeries, Member
from service.errors import SeriesError
from service.pipeline.series_ranking import Stack, describe, length_mm, orientation_name, rank
from service.pipeline.slice_header import UNIT_TOLERANCE, SliceHeader, read_slice_header
from service.pipeline.slice_stack import EVENNESS_MM, StackGrid, grid_of, order_along_normal
from service.pipeline.upload_contents import Candidate, SeriesFiles, UploadContents, contents_of

MIN_SLICES = 3
"""The fewest whose spacing can be checked: two slices have one gap, and nothing to compare it with.

A stack of fewer makes no volume (scouts, bolus tracking)."""

SHOWABLE_UID = re.compile(r"[0-9a-f.]{1,64}")
"""A UID that a message may repeat (PS3.5 section 9); some anonymisers write a hexadecimal hash."""

TILT_TAG_TOLERANCE_DEGREES = 1.0
"""Gantry/Detector Tilt (0018,1120) is often rounded to whole degrees; makers differ in its sign."""


def read_series(
    members: Iterable[Member],
    *,
    series_instance_uid: str | None = None,
    expected_instances: int | None = None,
    resample_gaps: bool = False,
) -> CtSeries:
    """Choose, check and order the one CT series of an upload.

    Set aside: files that are no DICOM, other modalities, localizers, derived images. The rest is
    parted by series, orientation and matrix into stacks, and the first in the ranking of
    ``series_ranking`` is taken.

    Args:
        members: the upload's files.
        series_instance_uid: take this series, whatever the ranking says.
        expected_instances: SOP instances that the sender counts in the series, as (0020,1209).
        resample_gaps: fill gaps up to 6 mm by interpolation, where slices are unevenly spaced.

    Raises:
        SeriesError: ``no_dicom``, ``corrupt_dicom``, ``no_ct_series``, ``too_few_slices``,
            ``several_patients``, ``series_not_found``, ``instance_count_mismatch``,
            ``missing_tag``, ``invalid_tag``, and those of ``slice_stack``.
    """
    upload = contents_of(members)
    _require_one_patient(upload, series_instance_uid)
    stacks = [
        stack
        for uid, files in upload.series.items()
        if series_instance_uid in (None, uid)
        for stack in _stacks_of(uid, files, resample_gaps)
    ]
    if not stacks:
        raise SeriesError(
            f"series {_shown(series_instance_uid or '')} is not in the upload, which holds "
            f"{_list_series(upload)}; pass one of these as series_instance_uid",
            code="series_not_found",
        )
    stacks.sort(key=rank)
    chosen = stacks[0]
    if chosen.error is not None or chosen.grid is None:
        raise chosen.error or SeriesError("the stack of slices makes no volume")
    files = upload.series[chosen.series_instance_uid]
    _require_instances(files, expected_instances)
    return _series_of(chosen, chosen.grid, stacks, upload)


def _series_of(
    chosen: Stack, grid: StackGrid, stacks: Sequence[Stack], upload: UploadContents
) -> CtSeries:
    first = chosen.ordered[0]
    frames = {header.frame_of_reference_uid for header in chosen.ordered}
    slices = tuple(header.ct_slice for header in chosen.ordered)
    used = len({s.member.position for s in slices})
    other = sum(len(files.candidates) for files in upload.series.values()) - used
    set_aside = upload.set_aside | ({"other stacks and copies": other} if other else {})
    verdict = GeometryVerdict(
        orientation=orientation_name(first.normal),
        slice_spacing_mm=grid.geometry.spacing_mm.z,
        evenness_mm=grid.evenness_mm,
        evenness_tolerance_mm=EVENNESS_MM,
        gantry_tilt_deg=grid.tilt_deg,
        coverage_mm=length_mm(chosen),
        slices_used=len(slices),
        resampled_gaps=grid.gaps,
        set_aside=set_aside,
    )
    return CtSeries(
        series_instance_uid=chosen.series_instance_uid,
        study_instance_uid=first.study_instance_uid,
        frame_of_reference_uid=frames.pop() if len(frames) == 1 else "",
        slices=slices,
        geometry=grid.geometry,
        patient_position=first.patient_position,
        set_aside=upload.total - used,
        slice_places=grid.places,
        verdict=verdict,
        candidates=tuple(describe(s, chosen, _showable(s.series_instance_uid)) for s in stacks),
        flags=_flags(chosen, grid, stacks),
    )


def _flags(chosen: Stack, grid: StackGrid, stacks: Sequence[Stack]) -> tuple[QualityFlag, ...]:
    found: list[tuple[FlagCode, Severity, str]] = []
    if len(stacks) > 1:
        message = (
            f"the upload holds {len(stacks)} stacks of CT slices; the first of the ranking was "
            "measured: see series.candidates, and pass series_instance_uid to choose another"
        )
        found.append((FlagCode.SERIES_CHOSEN, Severity.INFO, message))
    if grid.tilt_deg:
        message = (
            f"the gantry was tilted by {grid.tilt_deg:.1f} degrees; the masks are tilted alike"
        )
        found.append((FlagCode.GANTRY_TILT, Severity.INFO, message))
    told = chosen.tilt_tag_deg
    if told is not None and abs(abs(told) - grid.tilt_deg) > TILT_TAG_TOLERANCE_DEGREES:
        message = (
            f"tag (0018,1120) Gantry/Detector Tilt is {told:.1f} degrees, but positions and "
            f"orientation say {grid.tilt_deg:.1f}, which was used: check the series"
        )
        found.append((FlagCode.TILT_TAG_DISAGREES, Severity.WARNING, message))
    if grid.places is not None:
        message = (
            f"slices were unevenly spaced, off by up to {grid.evenness_mm:.2f} mm; the CT was "
            f"interpolated to even slices ({len(grid.gaps)} wide gaps): see series.geometry"
        )
        found.append((FlagCode.GAPS_RESAMPLED, Severity.WARNING, message))
    return tuple(QualityFlag(code=c, severity=s, message=m) for c, s, m in found)


def _stacks_of(uid: str, files: SeriesFiles, resample_gaps: bool) -> list[Stack]:
    """The stacks of one series; one that carries the error where a header cannot be used."""
    first = files.candidates[0].header
    try:
        told = first.optional_numbers("GantryDetectorTilt", 1)
        about = Stack(
            series_instance_uid=uid,
            slices=len(files.candidates),
            text=" ".join(
                first.optional_text(keyword).upper()
                for keyword in ("BodyPartExamined", "ProtocolName", "SeriesDescription")
            ),
            kernel=first.optional_text("ConvolutionKernel").upper(),
            tilt_tag_deg=told[0] if told else None,
        )
    except SeriesError as error:
        return [Stack(uid, len(files.candidates), error=error)]
    try:
        headers = [header for c in files.candidates for header in _slice_headers(c)]
    except SeriesError as error:
        return [about.refused(error)]
    return [_stack_of(about, group, resample_gaps) for group in _parted(headers)]


def _slice_headers(candidate: Candidate) -> list[SliceHeader]:
    return [
        read_slice_header(candidate.member, header, frame)
        for frame, header in candidate.slice_headers()
    ]


def _stack_of(about: Stack, group: list[SliceHeader], resample_gaps: bool) -> Stack:
    about = about.counting(len(group))
    try:
        ordered = order_along_normal(group)
        _require_slices(len(ordered))
        return about.ordered_on(ordered, grid_of(ordered, resample_gaps=resample_gaps))
    except SeriesError as error:
        return about.refused(error)


def _parted(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Groups of slices that share matrix and orientation.

    The frame of reference is no part of it: some anonymisers give every file its own.
    """
    groups: list[list[SliceHeader]] = []
    for header in headers:
        for group in groups:
            if _belongs(header, group[0]):
                group.append(header)
                break
        else:
            groups.append([header])
    return groups


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


def _require_one_patient(upload: UploadContents, wanted: str | None) -> None:
    chosen = [f for uid, f in upload.series.items() if wanted in (None, uid)]
    patients = {c.header.optional_text("PatientID") for f in chosen for c in f.candidates} - {""}
    if len(patients) > 1:
        raise SeriesError(
            f"the CT slices name {len(patients)} different patients in tag (0010,0020) Patient ID; "
            "one is needed: send one patient's series, or pass its UID as series_instance_uid",
            code="several_patients",
        )


def _require_instances(files: SeriesFiles, expected: int | None) -> None:
    if expected is not None and len(files.instances) != expected:
        raise SeriesError(
            f"the upload holds {len(files.instances)} instances of the series, and the sender "
            f"expects {expected} (expected_instances): send the whole series, and only it",
            code="instance_count_mismatch",
        )


def _showable(uid: str) -> str:
    return uid if SHOWABLE_UID.fullmatch(uid) else ""


def _shown(uid: str) -> str:
    return _showable(uid) or "with a malformed UID"


def _list_series(upload: UploadContents) -> str:
    return ", ".join(
        f"{_shown(uid)} ({len(files.candidates)} files)"
        for uid, files in sorted(upload.series.items())
    )
