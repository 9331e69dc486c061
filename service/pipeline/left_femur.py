"""One femur turned into the left frame with all that measurements need of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurGeometry, FemurSide, Vector
from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import BoolArray, FemurMasks, FemurRegions, HuArray
from service.errors import GeometryError
from service.pipeline.distance_field import (
    CanonicalMask,
    DistanceField,
    canonical_mask,
    left_frame,
)
from service.pipeline.sections import unit
from service.pipeline.shaft import Line
from service.pipeline.surface_field import inner_field, surface_field


@dataclass(frozen=True, eq=False)
class FemurAxes:
    """Landmarks of ``regions/v1`` in the left frame.

    Attributes:
        head_centre_mm, head_radius_mm: the head.
        neck_centre_mm, neck_axis: the narrowest section's centroid; unit, laterally.
        neck_range_mm: where the neck begins and ends along its axis, from the head centre; None
            where its lateral end was not found.
        shaft: its axis, None where too little of it is in view.
        lesser_trochanter_mm: its most prominent point, or None.
    """

    head_centre_mm: FloatArray
    head_radius_mm: float
    neck_centre_mm: FloatArray
    neck_axis: FloatArray
    neck_range_mm: tuple[float, float] | None
    shaft: Line | None
    lesser_trochanter_mm: FloatArray | None

    @property
    def posterior(self) -> FloatArray | None:
        """Unit, at right angles to neck and shaft: the view direction p = S x N of ``regions/v1``.

        In the left frame it points backwards.
        """
        if self.shaft is None:
            return None
        return unit(np.cross(self.shaft.direction, self.neck_axis))

    @property
    def superior(self) -> FloatArray | None:
        """Unit, at right angles to the neck axis in the plane of neck and shaft, upwards."""
        if self.shaft is None:
            return None
        s, n = self.shaft.direction, self.neck_axis
        return unit(s - (s @ n) * n)


@dataclass(frozen=True, eq=False)
class LeftFemur:
    """A femur's voxels, cropped to the bone, with axes running closest to S, P and lateral.

    A right femur and its mirror image give the same arrays, and so the same measurements.

    Attributes:
        outer_mask: inside the periosteal surface, and the grid of all arrays.
        inner_mask: inside the endosteal surface, bool ``[z, y, x]``; all false if there is none.
        hu: ``[z, y, x]``.
        labels: uint8 ``[z, y, x]``, values of FemurRegion.
        axes: None where head or neck was not found.
        mirrored: whether the patient's femur is the right one.
    """

    outer_mask: CanonicalMask
    inner_mask: BoolArray
    hu: HuArray
    labels: npt.NDArray[np.uint8]
    axes: FemurAxes | None
    mirrored: bool

    @property
    def geometry(self) -> VolumeGeometry:
        """Of all arrays, in the left frame."""
        return self.outer_mask.geometry

    @property
    def has_inner(self) -> bool:
        """Whether an endosteal surface was found."""
        return bool(self.inner_mask.any())

    @cached_property
    def outer(self) -> DistanceField:
        """The periosteal surface."""
        return surface_field(self.outer_mask)

    @cached_property
    def inner(self) -> DistanceField:
        """The endosteal surface."""
        return inner_field(self.outer_mask, self.inner_mask)

    def sample_hu(self, points_mm: FloatArray) -> FloatArray:
        """HU at points ``(..., 3)`` of the left frame, linear; the border's beyond the grid."""
        index = np.moveaxis(self.geometry.lps_to_index(points_mm), -1, 0)
        values: FloatArray = ndimage.map_coordinates(
            self.hu, index, output=np.float64, order=1, mode="nearest"
        )
        return values

    def sample_labels(self, points_mm: FloatArray) -> npt.NDArray[np.uint8]:
        """Region of the voxel that holds each point ``(..., 3)``; 0 beyond the grid."""
        index = np.rint(self.geometry.lps_to_index(points_mm)).astype(np.intp)
        within = (index >= 0) & (index < np.array(self.labels.shape))
        inside: BoolArray = np.logical_and.reduce(within, axis=-1)
        z, y, x = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)
        labels: npt.NDArray[np.uint8] = np.where(inside, self.labels[z, y, x], 0).astype(np.uint8)
        return labels

    def off_border(self, points_mm: FloatArray) -> BoolArray:
        """Which points ``(..., 3)`` lie over half a voxel within the scan or crop.

        Bone that reaches farther is cut, or ends one voxel short of the border as a mask may.
        """
        index = self.geometry.lps_to_index(points_mm)
        within = (index >= 1) & (index <= np.array(self.labels.shape) - 2)
        inside: BoolArray = np.logical_and.reduce(within, axis=-1)
        return inside

    def to_patient(self, point_or_direction: FloatArray) -> Vector:
        """From the left frame to the patient's LPS."""
        x, y, z = (float(v) for v in point_or_direction)
        return (-x if self.mirrored else x, y, z)


def left_femur(masks: FemurMasks, hu: HuArray, regions: FemurRegions) -> LeftFemur | None:
    """Turn and crop one femur; None where its mask holds no voxel.

    Args:
        masks: both surfaces.
        hu: the CT on the masks' grid.
        regions: labels and landmarks by ``regions/v1``.

    Raises:
        GeometryError: if the shapes differ.
    """
    if hu.shape != masks.periosteal.shape or regions.labels.shape != hu.shape:
        raise GeometryError(
            f"masks have shape {masks.periosteal.shape}, HU {hu.shape}, labels "
            f"{regions.labels.shape}; measurements need all on one grid"
        )
    if not masks.periosteal.any():
        return None
    outer = canonical_mask(masks.periosteal, left_frame(masks))
    order, box = outer.order, outer.box
    mirrored = masks.side is FemurSide.RIGHT
    return LeftFemur(
        outer_mask=outer,
        inner_mask=np.ascontiguousarray(order.apply(masks.endosteal)[box.slices]),
        hu=np.ascontiguousarray(order.apply(hu)[box.slices]),
        labels=np.ascontiguousarray(order.apply(regions.labels)[box.slices]),
        axes=_axes(regions.geometry, mirrored),
        mirrored=mirrored,
    )


def _axes(geometry: FemurGeometry, mirrored: bool) -> FemurAxes | None:
    head, radius = geometry.head_centre_lps_mm, geometry.head_radius_mm
    neck, axis = geometry.neck_centre_lps_mm, geometry.neck_axis_lps
    if head is None or radius is None or neck is None or axis is None:
        return None

    def turned(vector: Vector) -> FloatArray:
        x, y, z = vector
        return np.array([-x if mirrored else x, y, z])

    centre, n = turned(head), turned(axis)
    start, end = geometry.planes.head_neck, geometry.planes.neck_trochanter
    neck_range = None
    if start is not None and end is not None:
        from_mm, to_mm = (float((turned(p.point_lps_mm) - centre) @ n) for p in (start, end))
        neck_range = (from_mm, to_mm)
    shaft = None
    if geometry.shaft_point_lps_mm is not None and geometry.shaft_axis_lps is not None:
        shaft = Line(turned(geometry.shaft_point_lps_mm), turned(geometry.shaft_axis_lps))
    lesser = geometry.lesser_trochanter_lps_mm
    return FemurAxes(
        head_centre_mm=centre,
        head_radius_mm=radius,
        neck_centre_mm=turned(neck),
        neck_axis=n,
        neck_range_mm=neck_range,
        shaft=shaft,
        lesser_trochanter_mm=turned(lesser) if lesser is not None else None,
    )
