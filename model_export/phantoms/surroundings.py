"""What lies around the bones: table, calibration phantom, body, masses, vessels, metal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model_export.phantoms.anatomy import HipSide, PhantomAnatomy
from model_export.phantoms.protocol import Protocol
from model_export.phantoms.subject import side_generator
from service.sample.body import soft_tissue, table_distance_mm
from service.sample.distance_fields import (
    FloatArray,
    Points,
    Vector,
    blend,
    bump,
    coverage,
    round_cone,
    smooth_step,
    sphere,
)
from service.sample.lattice import Lattice
from service.sample.texture import Texture

AIR_HU = -1000.0
TABLE_HU = -120.0
SKIN_MM = 1.8
SEPTUM_HU = 45.0
"""What a septum of connective tissue adds to the fat under the skin."""

WARP_MM = 3.0
"""Standard deviation of how far muscles are moved from their closed forms."""

CALIBRATION_HU = 20.0
CALIBRATION_RODS_HU = (-40.0, 60.0, 130.0, 220.0, 310.0)
"""Body and rods of a calibration phantom of 0 to 200 mg/cm3 hydroxyapatite (120 kVp)."""

OBJECTS_STREAM = 25
"""Keeps these draws apart from the others of the same seed."""

VESSEL = ((-14.0, -54.0, 10.0), (-18.0, -54.0, -70.0))
VESSEL_RADIUS_MM = 5.5
"""The femoral vessels as in ``service.sample.body``, side frame of the pelvis about the head."""

METAL_HU = 3071.0

PROSTHESIS_SHARE = 0.4
"""Share of the subjects with metal whose other hip is a prosthesis."""


class Lump(NamedTuple):
    """A ball of some material, LPS mm."""

    centre: Vector
    radius_mm: float
    hu: float


class Surroundings(NamedTuple):
    """What was drawn to lie near one femur.

    Attributes:
        masses: tumour-like soft tissue.
        calcifications: outside bone.
        clips: metal.
        metal: centres that streaks run from: the clips and a prosthesis of the other hip.
    """

    masses: tuple[Lump, ...]
    calcifications: tuple[Lump, ...]
    clips: tuple[Lump, ...]
    metal: tuple[Vector, ...]


def draw_surroundings(anatomy: PhantomAnatomy, side: HipSide) -> Surroundings:
    """The same anatomy and side always give the same."""
    subject = anatomy.subject
    rng = side_generator(subject.seed, OBJECTS_STREAM, side.index)

    def lump(distance: tuple[float, float], radius: tuple[float, float], hu: float) -> Lump:
        x, y, z = _beside_femur(side, rng, distance)
        return Lump((x, y, z), float(rng.uniform(*radius)), hu)

    masses: tuple[Lump, ...] = ()
    if subject.tumour:
        hu = float(rng.uniform(10, 70))
        main = lump((38, 62), (14, 30), hu)
        x, y, z = (float(v) for v in np.array(main.centre) + rng.normal(0, 14, 3))
        masses = (main, Lump((x, y, z), 0.7 * main.radius_mm, hu + float(rng.uniform(-15, 15))))
    calcifications = tuple(
        lump((28, 55), (0.8, 3.5), float(rng.uniform(250, 1000)))
        for _ in range(int(rng.integers(1, 5)) if subject.calcified else 0)
    )
    clips = tuple(
        lump((30, 60), (0.8, 2.0), METAL_HU)
        for _ in range(int(rng.integers(1, 4)) if subject.metal else 0)
    )
    metal = [clip.centre for clip in clips]
    if subject.metal and rng.random() < PROSTHESIS_SHARE:
        metal.append(anatomy.sides[1 - side.index].placed.head_centre_lps_mm)
    return Surroundings(masses, calcifications, clips, tuple(metal))


def _beside_femur(
    side: HipSide, rng: np.random.Generator, distance_mm: tuple[float, float]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A place so far from the shaft's or the head's axis, in soft tissue."""
    angle = rng.uniform(0, 2 * np.pi)
    off = rng.uniform(*distance_mm)
    z = rng.uniform(-90, 40)
    return side.placed.to_lps(np.array((off * np.cos(angle), off * np.sin(angle), z)))


def soft_image(
    anatomy: PhantomAnatomy,
    side: HipSide,
    lattice: Lattice,
    around: Surroundings,
    protocol: Protocol,
) -> FloatArray:
    """HU of everything but bone and metal, float32 ``[z, y, x]`` of the lattice's grid."""
    pixel_mm = protocol.pixel_mm
    body = anatomy.body
    points = lattice.points
    whole = lattice.whole()

    def over(field: FloatArray) -> FloatArray:
        return coverage(lattice.at_voxels(field, whole), pixel_mm)

    image = np.full(lattice.geometry.shape_zyx, AIR_HU, np.float32)
    blend(image, over(table_distance_mm(body, anatomy.frame, points)), TABLE_HU)
    if anatomy.subject.calibration_phantom:
        _add_calibration(image, anatomy, lattice, pixel_mm)
    texture = anatomy.texture
    tissue = soft_tissue(body, anatomy.frame, anatomy.femurs, _warped(points, texture))
    skin = lattice.at_voxels(tissue.body_mm, whole)
    blend(image, coverage(skin, pixel_mm), body.skin_hu)
    septa = bump(texture.at(points, (7.0, 6.0, 9.0)), 0.12)
    fat = lattice.at_voxels(np.asarray(body.fat_hu + SEPTUM_HU * septa, np.float32), whole)
    blend(image, coverage(skin + np.float32(SKIN_MM), pixel_mm), fat)
    grain = texture.at(points, (3.0, 3.0, 8.0))
    lean = 1 - np.float32(anatomy.subject.fatty_muscle) * smooth_step(grain, 0.9, 2.2)
    muscle = over(tissue.muscle_mm) * lattice.at_voxels(lean, whole)
    blend(image, muscle, lattice.at_voxels(tissue.muscle_hu + 4 * grain, whole))
    for mass in around.masses:
        bumpy = sphere(points, mass.centre, mass.radius_mm) + 3 * anatomy.texture.at(
            points, (9.0, 9.0, 9.0)
        )
        inside = np.maximum(bumpy, tissue.body_mm + np.float32(SKIN_MM + 3))
        blend(image, over(inside), lattice.at_voxels(mass.hu + 6 * grain, whole))
    for lump in around.calcifications:
        add_lump(image, lattice, lump, pixel_mm)
    if anatomy.subject.calcified:
        _add_plaques(image, anatomy, side, lattice)
    return image


def _warped(points: Points, texture: Texture) -> Points:
    """Points moved about smoothly: no muscle is as round as a closed form."""
    stretch = (13.0, 13.0, 26.0)
    shift = np.float32(37.0)
    return Points(
        points.x + np.float32(WARP_MM) * texture.at(points, stretch),
        points.y + np.float32(WARP_MM) * texture.at(points._replace(z=points.z + shift), stretch),
        points.z,
    )


def add_lump(image: FloatArray, lattice: Lattice, lump: Lump, pixel_mm: float) -> None:
    """Lays a ball over the image, exactly, in place."""
    geometry = lattice.geometry
    z, y, x = geometry.lps_to_index(np.array([lump.centre]))[0]
    reach = [int(np.ceil(lump.radius_mm / step)) + 2 for step in geometry.spacing_mm]
    low = [max(int(v) - r, 0) for v, r in zip((z, y, x), reach, strict=True)]
    high = [
        min(int(v) + r + 1, n) for v, r, n in zip((z, y, x), reach, geometry.shape_zyx, strict=True)
    ]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return
    index = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"),
        axis=-1,
    )
    points = Points.of(geometry.index_to_lps(index.reshape(-1, 3)))
    distance = sphere(points, lump.centre, lump.radius_mm).reshape(index.shape[:3])
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    blend(image[box], coverage(distance, pixel_mm), lump.hu)


def _add_calibration(
    image: FloatArray, anatomy: PhantomAnatomy, lattice: Lattice, pixel_mm: float
) -> None:
    """A flat block with rods along z, between back and table."""
    x, y, _ = lattice.points.minus(anatomy.frame.origin_lps_mm)
    sag = x**2 / np.float32(1400.0)
    top = np.float32(8 + anatomy.body.half_depth_mm + 4)
    down = y + sag - top
    block = np.maximum(np.abs(down - 13) - 12, np.abs(x) - 150)
    whole = lattice.whole()
    blend(image, coverage(lattice.at_voxels(block, whole), pixel_mm), CALIBRATION_HU)
    for number, hu in enumerate(CALIBRATION_RODS_HU):
        rod = np.hypot(x - np.float32(56 * (number - 2)), down - 13) - 9
        blend(image, coverage(lattice.at_voxels(np.asarray(rod, np.float32), whole), pixel_mm), hu)


def _add_plaques(
    image: FloatArray, anatomy: PhantomAnatomy, side: HipSide, lattice: Lattice
) -> None:
    """Patches of calcium in the wall of the femoral artery."""
    sign = (1.0, -1.0)[side.index]
    socket = (anatomy.frame.left, anatomy.frame.right)[side.index]
    points = anatomy.frame.side_points(lattice.points, sign).minus(socket.head_centre)
    tube = round_cone(points, VESSEL[0], VESSEL_RADIUS_MM, VESSEL[1], VESSEL_RADIUS_MM)
    whole = lattice.whole()
    patches = lattice.at_voxels(anatomy.texture.at(lattice.points, (4.0, 4.0, 7.0)), whole)
    share = bump(lattice.at_voxels(tube, whole), 0.7) * smooth_step(patches, 0.7, 1.4)
    blend(image, share, 600.0)
