"""Which of several stacks of CT slices is measured: a fixed ranking on what their headers say.

Best first, each rule deciding where those before it leave a tie (docs/dicom.md):
it makes a volume; it names the hip and not another body part; it is axial; it is long enough for
a proximal femur; its slices are thin; its kernel is not a sharp one; its slices are closer; it
has more of them; its Series Instance UID is the smaller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from service.domain.findings import SeriesCandidate
from service.domain.geometry import FloatArray
from service.errors import SeriesError
from service.pipeline.slice_header import SliceHeader
from service.pipeline.slice_stack import StackGrid

HIP = re.compile(
    r"(?<![A-Z])HIP|PELVI|FEMUR|FEMOR|COX|THIGH|H(Ü|UE?)FT|BECKEN|HANCHE|BASSIN|CADERA"
)
"""In Body Part Examined, Protocol Name or Series Description, in capitals."""

OTHER_PARTS = re.compile(
    r"HEAD|BRAIN|SKULL|NECK|CHEST|THORAX|LUNG|HEART|CARDI|[CT]SPINE|SHOULDER|ELBOW|WRIST|HAND"
    r"|KNEE|ANKLE|FOOT|JAW|SINUS"
)
"""Parts that end above or below the hip; abdomen, whole body, leg may hold it and say nothing."""

MIN_LENGTH_MM = 100.0
"""Dome of the head to below the lesser trochanter is 70 to 100 mm in adults."""

THIN_MM, MEDIUM_MM = 1.5, 3.0
"""Upper limits of slice spacing; a class outweighs the kernel, a difference within it does not."""

SHARP_KERNEL_NUMBER = 55
"""Siemens: kernels such as B30f, Br40, I70 grow sharper with their number; bone begins here."""

SOFT_WORDS = re.compile(r"(SOFT|STAND|STND|SMOOTH|DETAIL).*|FC[01]\d.*|[ABC]")
"""GE, Philips (A, B, C) and Toshiba/Canon (FC01-FC19, body) for soft tissue."""

SHARP_WORDS = re.compile(r"(BONE|LUNG|EDGE|ULTRA|SHARP).*|FC[358]\d.*|[DEL]|Y[A-E]")
"""Bone and lung kernels of the same makers."""

SIEMENS_KERNEL = re.compile(r"(?!FC)[A-Z][A-Z]?(\d\d)[A-Z]*")

OBLIQUE_DEGREES = 10.0
"""Slices turned further from an anatomical plane are called oblique."""

PLANES = ("sagittal", "coronal", "axial")
"""By the patient axis (x, y, z) that the slices' normal is closest to."""

RULES = (
    "it makes no volume",
    "its header names another body part, or the chosen one's names the hip",
    "its slices are not axial",
    f"it is shorter than {MIN_LENGTH_MM:g} mm",
    "its slices are thicker",
    "its kernel is sharper or unknown",
    "its slices are farther apart",
    "it has fewer slices",
    "its Series Instance UID is the greater; nothing else tells them apart",
)
"""Why a stack stands behind the chosen one: the first rule that differs."""


@dataclass(frozen=True, eq=False)
class Stack:
    """One stack of slices of the upload, or what keeps it from being one.

    Attributes:
        series_instance_uid: as in the files.
        slices: number of slices, copies counted.
        ordered: the slices ascending along their normal; empty where ``error`` is set.
        grid: None where ``error`` is set.
        error: why the stack makes no volume.
        text: Body Part Examined, Protocol Name and Series Description, in capitals; not shown.
        kernel: Convolution Kernel, in capitals; not shown.
        tilt_tag_deg: Gantry/Detector Tilt (0018,1120); None where absent.
    """

    series_instance_uid: str
    slices: int
    ordered: tuple[SliceHeader, ...] = ()
    grid: StackGrid | None = None
    error: SeriesError | None = None
    text: str = ""
    kernel: str = ""
    tilt_tag_deg: float | None = None

    def counting(self, slices: int) -> Stack:
        """The same with another number of slices."""
        return replace(self, slices=slices)

    def refused(self, error: SeriesError) -> Stack:
        """The same, unusable."""
        return replace(self, error=error)

    def ordered_on(self, ordered: list[SliceHeader], grid: StackGrid) -> Stack:
        """The same, usable."""
        return replace(self, ordered=tuple(ordered), grid=grid)


def orientation_name(normal: FloatArray) -> str:
    """Such as ``axial`` or ``oblique coronal``, from the slices' unit normal."""
    axis = int(np.abs(normal).argmax())
    degrees = float(np.degrees(np.arccos(min(1.0, float(np.abs(normal[axis]))))))
    return f"{'oblique ' if degrees > OBLIQUE_DEGREES else ''}{PLANES[axis]}"


def length_mm(stack: Stack) -> float:
    """Along the normal, outer face to outer face; 0 where the stack makes no volume."""
    if stack.grid is None:
        return 0.0
    step = stack.grid.geometry.affine_lps[:3, 2]
    return float(step @ stack.ordered[0].normal) * stack.grid.geometry.shape_zyx[0]


def rank(stack: Stack) -> tuple[tuple[float, str], ...]:
    """Sorts the best stack first; one number, or for the last a text, for each of ``RULES``."""
    grid = stack.grid
    spacing_mm = grid.geometry.spacing_mm.z if grid else 0.0
    axial = bool(stack.ordered) and orientation_name(stack.ordered[0].normal).endswith(PLANES[2])
    numbers = (
        float(grid is None),
        _body_part_rank(stack.text),
        float(not axial),
        float(length_mm(stack) < MIN_LENGTH_MM),
        float(sum(spacing_mm > limit + 1e-3 for limit in (THIN_MM, MEDIUM_MM))),
        _kernel_rank(stack.kernel),
        round(spacing_mm, 2),
        float(-stack.slices),
    )
    return (*((number, "") for number in numbers), (0.0, stack.series_instance_uid))


def describe(stack: Stack, chosen: Stack, shown_uid: str) -> SeriesCandidate:
    """A stack as the report lists it.

    Args:
        stack: any of the upload.
        chosen: the one that is measured.
        shown_uid: the stack's UID, as it may be shown.
    """
    grid = stack.grid
    spacing = grid.geometry.spacing_mm if grid else None
    return SeriesCandidate(
        series_instance_uid=shown_uid,
        slices=stack.slices,
        spacing_mm=(spacing.z, spacing.y, spacing.x) if spacing else None,
        orientation=orientation_name(stack.ordered[0].normal) if stack.ordered else None,
        chosen=stack is chosen,
        error_code=stack.error.code if stack.error else None,
        reason=_reason(stack, chosen),
    )


def _reason(stack: Stack, chosen: Stack) -> str:
    if stack is chosen:
        return "measured: first in the ranking of the stacks that could be chosen"
    if stack.error is not None:
        return f"not measured: {stack.error.detail}"
    pairs = zip(RULES, rank(stack), rank(chosen), strict=True)
    rule = next((rule for rule, own, best in pairs if own > best), "nothing else differs")
    return f"not measured: {rule}"


def _body_part_rank(text: str) -> float:
    """0 names the hip, 1 says nothing of use, 2 names another part."""
    if HIP.search(text):
        return 0.0
    return 2.0 if OTHER_PARTS.search(text) else 1.0


def _kernel_rank(kernel: str) -> float:
    """0 soft or standard, 1 unknown, 2 sharp."""
    name = kernel.split("\\")[0].strip()
    numbered = SIEMENS_KERNEL.fullmatch(name)
    if numbered:
        return 2.0 if int(numbered[1]) >= SHARP_KERNEL_NUMBER else 0.0
    if SHARP_WORDS.fullmatch(name):
        return 2.0
    return 0.0 if SOFT_WORDS.fullmatch(name) else 1.0
