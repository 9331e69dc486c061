"""What is delivered of an analysis as numbered masks: surface compartments and regions per side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from highdicom import UID

from service.artifacts.source_grid import ByteArray, on_source_grid
from service.domain.imaging import Analysis, BoolArray, FemurRegion, FemurResult


@dataclass(frozen=True, eq=False)
class Segment:
    """One mask, as segment of a DICOM SEG and as what a measurement is about.

    Attributes:
        number: Segment Number (0062,0004), from 1.
        name: ``periosteal``, ``cortical``, ``trabecular``, or a region's name in lower case.
        femur: whose mask it is.
        mask: bool ``[z, y, x]`` in the femur's crop box; never empty.
        tracking_uid: the same in SEG and SR.
    """

    number: int
    name: str
    femur: FemurResult
    mask: BoolArray
    tracking_uid: str

    @property
    def tracking_id(self) -> str:
        """Such as ``left_neck``."""
        return f"{self.femur.crop.side.value}_{self.name}"

    def on_source(self, analysis: Analysis) -> ByteArray:
        """The mask as uint8 0/1 ``[z, y, x]`` on the CT's grid."""
        return on_source_grid(
            self.mask, self.femur.crop.box, analysis.axis_order, analysis.source_geometry
        )


def segments_of(analysis: Analysis) -> tuple[Segment, ...]:
    """Every mask that has a voxel, left femur first; none of a region that was not found.

    Cortical and trabecular compartments are left out where no endosteal surface was found, since
    the cortex is then unknown, not the whole bone.
    """
    found = (
        (femur, name, mask)
        for femur in analysis.femurs
        for name, mask in _masks_of(femur)
        if mask.any()
    )
    return tuple(
        Segment(number, name, femur, mask, UID())
        for number, (femur, name, mask) in enumerate(found, start=1)
    )


def _masks_of(femur: FemurResult) -> Iterator[tuple[str, BoolArray]]:
    periosteal, endosteal = femur.masks.periosteal, femur.masks.endosteal
    yield "periosteal", periosteal
    if endosteal.any():
        yield "cortical", periosteal & ~endosteal
        yield "trabecular", endosteal
    for region in FemurRegion:
        yield region.name.lower(), femur.labels == region
