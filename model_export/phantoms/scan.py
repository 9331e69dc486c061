"""One femur of a phantom scanned on a grid around it, and its exact masks on the networks' grid.

The image and the masks are read from the same fields, so they agree to a fraction of a voxel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model_export.phantoms.anatomy import HipSide, PhantomAnatomy
from model_export.phantoms.bones import BoneFields, femur_fields, pelvis_fields
from model_export.phantoms.metal import add_streaks
from model_export.phantoms.protocol import Protocol
from model_export.phantoms.subject import side_generator
from model_export.phantoms.surroundings import (
    add_lump,
    draw_surroundings,
    soft_image,
)
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.sample.distance_fields import FloatArray, Points, blend, coverage, smooth_step
from service.sample.lattice import Lattice

BoolArray = npt.NDArray[np.bool_]

SOFT_STEP_MM = 3.0
"""Lattice step for skin, muscles and table."""

SEARCH_STEP_MM = 3.0
"""Lattice step for finding where a bone is."""

SAMPLE_MM = 0.7
"""Bone is evaluated at heights this far apart within a slice."""

SURFACE_MARGIN_MM = 2.5
"""Voxels up to here outside a femur are evaluated exactly."""

PELVIS_MARGIN_MM = 6.0
"""The pelvis's fields reach this far beyond the scanned grid."""

MARROW_HU = -60.0
"""Below this there is no mineral, whose HU depend on the voltage."""

POROUS_MM = (0.6, 3.0)
THIN_SHARE = 0.55
"""Between these thicknesses compact bone gains from this share of its HU to all of it."""

CAPSULE_MM = 4.5
CAPSULE_HU = 75.0
"""Cartilage, fluid and joint capsule on the head and the neck."""

SHARPENING_MM = 0.9
"""Standard deviation of the blur whose difference a bone kernel adds."""

STREAK_LENGTH_MM = 9.0
"""Correlation length of the noise along x where few photons pass both hips."""

NOISE_STREAM = 26
"""Keeps the noise apart from the other draws of the same seed."""


class FemurScan(NamedTuple):
    """A scan and the fields it was made from.

    Attributes:
        hu: float32 ``[z, y, x]``.
        geometry: its grid, LPS.
        side: which femur.
        femur: its fields.
    """

    hu: FloatArray
    geometry: VolumeGeometry
    side: HipSide
    femur: BoneFields

    def masks(self, grid: VolumeGeometry) -> tuple[BoolArray, BoolArray]:
        """Whether voxel centres of a grid lie inside the periosteal and the endosteal surface."""
        outer, inner = (np.zeros(grid.shape_zyx, dtype=bool) for _ in range(2))
        voxels = _near(
            self.femur, self.side.placed.points_to_femur, Lattice.over(grid, SEARCH_STEP_MM)
        )
        points = self.side.placed.to_femur(grid.index_to_lps(voxels))
        surface = self.femur.surface.at(points)
        outer[tuple(voxels.T)] = surface <= 0
        inner[tuple(voxels.T)] = surface + self.femur.thickness.at(points) <= 0
        return outer, inner


def scan_femur(anatomy: PhantomAnatomy, side: HipSide, protocol: Protocol) -> FemurScan:
    """Renders the grid that the protocol leaves around a femur, blurs it and adds noise."""
    femur = femur_fields(anatomy, side)
    geometry = grid_around(side, protocol)
    low = geometry.index_to_lps((0, 0, 0)) - PELVIS_MARGIN_MM
    high = geometry.index_to_lps(np.array(geometry.shape_zyx) - 1) + PELVIS_MARGIN_MM
    box = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    pelvis = pelvis_fields(anatomy, side, femur, box)
    around = draw_surroundings(anatomy, side)
    lattice = Lattice.over(geometry, SOFT_STEP_MM)
    image = soft_image(anatomy, side, lattice, around, protocol)
    canvas = _Canvas(image, Lattice.over(geometry, SEARCH_STEP_MM), protocol)
    canvas.add_capsule(side, femur)
    compact = anatomy.subject.tissue.cortical
    canvas.add_bone(pelvis, _unmoved, compact * anatomy.subject.tissue.pelvic_share)
    canvas.add_bone(femur, side.placed.points_to_femur, compact)
    for clip in around.clips:
        add_lump(image, lattice, clip, protocol.pixel_mm)
    rng = side_generator(anatomy.subject.seed, NOISE_STREAM, side.index)
    acquired = _acquire(image, protocol, rng)
    add_streaks(acquired, geometry, around.metal, rng)
    return FemurScan(np.clip(acquired, -1024, 3071), geometry, side, femur)


def _unmoved(points: Points) -> Points:
    return points


def grid_around(side: HipSide, protocol: Protocol) -> VolumeGeometry:
    """The grid that the protocol leaves around the femur."""
    femur = side.placed
    points = femur.to_lps(side.framed.surface.points)
    lesser = femur.to_lps(np.zeros(3))[2]
    top = femur.head_centre_lps_mm[2] + femur.head_radius_mm + protocol.above_head_mm
    bottom = lesser - protocol.below_lesser_mm
    seen = points[(points[:, 2] > bottom) & (points[:, 2] < top)]
    x_low, x_high, y_low, y_high = protocol.margins_mm
    low = seen[:, :2].min(axis=0) - np.array((x_low, y_low))
    high = seen[:, :2].max(axis=0) + np.array((x_high, y_high))
    spacing = SpacingMm(protocol.slice_mm, protocol.pixel_mm, protocol.pixel_mm)
    size_mm = (top - bottom, high[1] - low[1], high[0] - low[0])
    nz, ny, nx = (int(mm / step) + 1 for mm, step in zip(size_mm, spacing, strict=True))
    return VolumeGeometry.axis_aligned((nz, ny, nx), spacing, (low[0], low[1], bottom))


def _near(
    bone: BoneFields, to_bone: Callable[[Points], Points], lattice: Lattice
) -> npt.NDArray[np.int64]:
    """Indices (z, y, x) ``[n, 3]`` of the voxels in a bone or next to it."""
    coarse = bone.surface.at(to_bone(lattice.points))
    box = lattice.box_below(coarse, 2 * SURFACE_MARGIN_MM)
    if box is None:
        return np.zeros((0, 3), dtype=np.int64)
    margin = SURFACE_MARGIN_MM + lattice.geometry.spacing_mm.z / 2
    near = np.argwhere(lattice.at_voxels(coarse, box) < margin)
    return np.asarray(near + np.array(box.start_zyx))


@dataclass(frozen=True, eq=False)
class _Canvas:
    """An image that bones are laid over, in place.

    Attributes:
        image: float32 ``[z, y, x]``, HU.
        lattice: over its grid.
        protocol: gives slice thickness, pixel and voltage.
    """

    image: FloatArray
    lattice: Lattice
    protocol: Protocol

    def add_capsule(self, side: HipSide, femur: BoneFields) -> None:
        """Lays cartilage, fluid and joint capsule around head and neck."""
        at_femur = side.placed.points_to_femur(self.lattice.points)
        from_head = at_femur.minus(side.placed.head_centre).length() - np.float32(
            side.placed.head_radius_mm + 2 * CAPSULE_MM
        )
        field = np.maximum(femur.surface.at(at_femur) - np.float32(CAPSULE_MM), from_head)
        whole = self.lattice.at_voxels(np.asarray(field, np.float32), self.lattice.whole())
        blend(self.image, coverage(whole, self.protocol.pixel_mm), CAPSULE_HU)

    def add_bone(
        self, bone: BoneFields, to_bone: Callable[[Points], Points], cortical_hu: float
    ) -> None:
        """Lays a bone, with partial volume in plane and across the slice."""
        geometry = self.lattice.geometry
        voxels = _near(bone, to_bone, self.lattice)
        heights = _heights(self.protocol)
        outer, bone_hu = (np.zeros(len(voxels), np.float32) for _ in range(2))
        for height in heights:
            centres = voxels + np.array((height, 0.0, 0.0))
            points = to_bone(Points.of(geometry.index_to_lps(centres)))
            surface = bone.surface.at(points)
            share = coverage(surface, self.protocol.pixel_mm)
            thickness = bone.thickness.at(points)
            inner = coverage(surface + thickness, self.protocol.pixel_mm)
            compact = self._at_voltage(np.float32(cortical_hu) * _compactness(thickness))
            outer += share
            bone_hu += (share - inner) * compact
            bone_hu += inner * self._at_voltage(bone.filling.at(points))
        count = np.float32(len(heights))
        index = tuple(voxels.T)
        self.image[index] += (bone_hu - outer * self.image[index]) / count

    def _at_voltage(self, hu: FloatArray) -> FloatArray:
        """What bone adds to marrow grows at a low voltage."""
        above = np.maximum(hu - np.float32(MARROW_HU), 0)
        return np.asarray(hu + np.float32(self.protocol.bone_scale - 1) * above, np.float32)


def _compactness(thickness_mm: FloatArray) -> FloatArray:
    """HU of a cortex as a share of the thickest one's: a thin cortex is more porous."""
    full = smooth_step(thickness_mm, *POROUS_MM)
    return np.asarray(THIN_SHARE + (1 - THIN_SHARE) * full, dtype=np.float32)


def _heights(protocol: Protocol) -> tuple[float, ...]:
    """Where in a slice bone is evaluated, in slice distances from its middle."""
    count = max(1, int(np.ceil(protocol.thickness_mm / SAMPLE_MM)))
    middles = (np.arange(count) + 0.5) / count - 0.5
    return tuple(float(m) * protocol.thickness_mm / protocol.slice_mm for m in middles)


def _acquire(image: FloatArray, protocol: Protocol, rng: np.random.Generator) -> FloatArray:
    """Kernel in plane and noise; the slice profile is already in the image."""
    pixels = protocol.sigma_mm / protocol.pixel_mm
    blurred = ndimage.gaussian_filter(image, (0.0, pixels, pixels), mode="nearest", truncate=3.0)
    if protocol.sharpening > 0:
        wide = SHARPENING_MM / protocol.pixel_mm
        smooth = ndimage.gaussian_filter(blurred, (0.0, wide, wide), mode="nearest", truncate=3.0)
        blurred += np.float32(protocol.sharpening) * (blurred - smooth)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    grain = protocol.noise_grain_mm / protocol.pixel_mm
    ndimage.gaussian_filter(noise, (0.3, grain, grain), output=noise, mode="wrap", truncate=3.0)
    noise *= np.float32(protocol.noise_hu) / noise.std()
    blurred += noise
    if protocol.streak_noise_hu > 0:
        rays = rng.standard_normal(image.shape, dtype=np.float32)
        length = STREAK_LENGTH_MM / protocol.pixel_mm
        ndimage.gaussian_filter(rays, (0.3, grain, length), output=rays, mode="wrap", truncate=2.0)
        blurred += rays * (np.float32(protocol.streak_noise_hu) / rays.std())
    acquired: FloatArray = blurred
    return acquired
