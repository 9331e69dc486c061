"""A CT scanner for the sample: closed-form anatomy to HU on any voxel grid, with the exact masks.

The grid is rendered in slabs of slices so that memory stays small. Smooth fields are evaluated on a
coarse lattice; the surface of a femur is evaluated exactly at every voxel near or in it, at several
heights within a thick slice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurSide
from service.domain.geometry import Box, VolumeGeometry
from service.errors import GeometryError
from service.sample.anatomy import HipAnatomy
from service.sample.body import soft_tissue, table_distance_mm
from service.sample.distance_fields import FloatArray, blend, coverage, sphere
from service.sample.femur import FemurAnatomy
from service.sample.lattice import Lattice
from service.sample.tissue import trabecular_hu

BoolArray = npt.NDArray[np.bool_]

SLAB_SLICES = 32
"""Slices rendered at once."""

SOFT_STEP_MM = 4.0
"""Lattice step for skin, muscles and table."""

BONE_STEP_MM = 2.5
"""Lattice step for the pelvis and the search box of the femurs."""

SURFACE_MARGIN_MM = 2.5
"""Voxels up to here outside a femur are evaluated exactly."""

ACQUISITION_STREAM = 2
"""Keeps these draws apart from the anatomy's of the same seed."""

AIR_HU = -1000.0
TABLE_HU = -120.0
JOINT_HU = 80.0
SKIN_MM = 1.8
CAPSULE_MM = 5.0
"""Thickness of what lies on a femoral head and neck: cartilage, fluid, joint capsule."""


@dataclass(frozen=True)
class Acquisition:
    """How a series is acquired.

    Attributes:
        pixel_spacing_mm: in plane, square.
        slice_spacing_mm: distance of slices, equal to their thickness.
        blur_sigma_mm: Gaussian point spread in plane.
        noise_hu: standard deviation of the noise in the patient.
        noise_grain_px: correlation length of the noise in pixels.
        kvp: tube voltage.
        above_head_mm: how far the scan reaches above the higher head.
        below_lesser_mm: how far it reaches below the lower lesser trochanter.
        seed: of this draw; noise is drawn from a generator that the caller passes.

    Raises:
        GeometryError: for a spacing that is not positive, or negative blur or noise.
    """

    pixel_spacing_mm: float
    slice_spacing_mm: float
    blur_sigma_mm: float
    noise_hu: float
    noise_grain_px: float
    kvp: float
    above_head_mm: float
    below_lesser_mm: float
    seed: int

    def __post_init__(self) -> None:
        lengths = (self.pixel_spacing_mm, self.slice_spacing_mm, self.noise_grain_px)
        if min(lengths) <= 0 or min(self.blur_sigma_mm, self.noise_hu) < 0:
            raise GeometryError(
                f"an acquisition needs positive spacings and no negative blur: {self}"
            )


def draw_acquisition(seed: int) -> Acquisition:
    """Draw a protocol; the same seed always gives the same one."""
    rng = np.random.default_rng([seed, ACQUISITION_STREAM])
    return Acquisition(
        pixel_spacing_mm=float(np.round(rng.uniform(0.76, 0.98), 4)),
        slice_spacing_mm=float(rng.choice([1.0, 1.25, 1.5, 2.0, 2.5, 3.0])),
        blur_sigma_mm=float(rng.uniform(0.6, 0.9)),
        noise_hu=float(rng.uniform(8, 30)),
        noise_grain_px=float(rng.uniform(0.5, 1.0)),
        kvp=float(rng.choice([100.0, 120.0, 120.0, 120.0, 140.0])),
        above_head_mm=float(rng.uniform(32, 45)),
        below_lesser_mm=float(rng.uniform(66, 110)),
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class FemurTruth:
    """Exact masks of one femur: bool [z, y, x], True where the voxel centre is inside."""

    side: FemurSide
    periosteal: BoolArray
    endosteal: BoolArray


@dataclass(frozen=True, eq=False)
class RenderedCt:
    """What a scan gives: hu int16 [z, y, x], its grid, the truth of both femurs."""

    hu: npt.NDArray[np.int16]
    geometry: VolumeGeometry
    left: FemurTruth
    right: FemurTruth


def render(
    anatomy: HipAnatomy,
    geometry: VolumeGeometry,
    acquisition: Acquisition,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> RenderedCt:
    """Scan an anatomy on a grid; slices are as thick as they are apart.

    Args:
        anatomy: the subject.
        geometry: any grid, for instance a crop around one femur.
        acquisition: blur and noise; spacing is taken from `geometry`.
        rng: draws the noise.
        progress: called with (slices done, slices).
    """
    hu = np.empty(geometry.shape_zyx, np.int16)
    masks = [np.zeros(geometry.shape_zyx, np.bool_) for _ in range(4)]
    count, rows, columns = geometry.shape_zyx
    for start in range(0, count, SLAB_SLICES):
        stop = min(start + SLAB_SLICES, count)
        slab = Slab(anatomy, geometry.crop(Box((start, 0, 0), (stop, rows, columns))))
        image = slab.image()
        for femur, periosteal, endosteal in zip(
            anatomy.femurs, masks[::2], masks[1::2], strict=True
        ):
            slab.add_femur(image, femur, periosteal[start:stop], endosteal[start:stop])
        hu[start:stop] = _acquire(image, slab.geometry, acquisition, rng)
        if progress is not None:
            progress(stop, count)
    return RenderedCt(
        hu=hu,
        geometry=geometry,
        left=FemurTruth(FemurSide.LEFT, masks[0], masks[1]),
        right=FemurTruth(FemurSide.RIGHT, masks[2], masks[3]),
    )


def _acquire(
    image: FloatArray,
    geometry: VolumeGeometry,
    acquisition: Acquisition,
    rng: np.random.Generator,
) -> npt.NDArray[np.int16]:
    spacing = geometry.spacing_mm
    sigma = (
        0.0,
        acquisition.blur_sigma_mm / spacing.y,
        acquisition.blur_sigma_mm / spacing.x,
    )
    blurred = ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    grain = acquisition.noise_grain_px
    ndimage.gaussian_filter(noise, (0.4, grain, grain), output=noise, mode="wrap", truncate=3.0)
    noise *= np.float32(acquisition.noise_hu / noise[0].std())
    blurred += noise
    stored: npt.NDArray[np.int16] = np.clip(np.rint(blurred), -1024, 3071).astype(np.int16)
    return stored


@dataclass(frozen=True)
class Slab:
    """Some neighbouring slices of the grid."""

    anatomy: HipAnatomy
    geometry: VolumeGeometry

    @property
    def pixel_mm(self) -> float:
        """Width of the coverage ramp."""
        return self.geometry.spacing_mm.x

    @property
    def z_offsets(self) -> tuple[float, ...]:
        """Heights within a slice, in slices, at which bone is evaluated; 0 is the voxel centre."""
        return (0.0,) if self.geometry.spacing_mm.z <= 1.25 else (-1 / 3, 0.0, 1 / 3)

    def image(self) -> FloatArray:
        """HU of air, table, soft tissue and pelvis, float32 [z, y, x]."""
        anatomy = self.anatomy
        lattice = Lattice.over(self.geometry, SOFT_STEP_MM)
        image = np.full(self.geometry.shape_zyx, AIR_HU, np.float32)
        table = table_distance_mm(anatomy.body, anatomy.pelvis, lattice.points)
        whole = lattice.whole()
        blend(image, coverage(lattice.at_voxels(table, whole), self.pixel_mm), TABLE_HU)
        body = anatomy.body
        tissue = soft_tissue(body, anatomy.pelvis, anatomy.femurs, lattice.points)
        skin = lattice.at_voxels(tissue.body_mm, whole)
        blend(image, coverage(skin, self.pixel_mm), body.skin_hu)
        skin += np.float32(SKIN_MM)
        blend(image, coverage(skin, self.pixel_mm), body.fat_hu)
        muscle = coverage(lattice.at_voxels(tissue.muscle_mm, whole), self.pixel_mm)
        grain = anatomy.texture.at(lattice.points, (3.0, 3.0, 6.0))
        blend(image, muscle, lattice.at_voxels(tissue.muscle_hu + 4 * grain, whole))
        self._add_pelvis(image)
        return image

    def _add_pelvis(self, image: FloatArray) -> None:
        anatomy = self.anatomy
        lattice = Lattice.over(self.geometry, BONE_STEP_MM)
        points = lattice.points
        bone = anatomy.pelvis.distance_mm(points)
        joint = np.full_like(bone, 1e3)
        for femur, socket in zip(
            anatomy.femurs, (anatomy.pelvis.left, anatomy.pelvis.right), strict=True
        ):
            surface = femur.periosteal_field(femur.points_to_femur(points))
            # A turned neck may not run into the rim.
            bone = np.maximum(bone, np.float32(socket.gap_mm) - surface)
            near_head = sphere(points, femur.head_centre_lps_mm, femur.head_radius_mm + 9)
            joint = np.minimum(joint, np.maximum(surface - np.float32(CAPSULE_MM), near_head))
        self._lay(image, lattice, joint, JOINT_HU)
        self._lay(image, lattice, bone, anatomy.tissue.pelvic_cortical_hu)
        grain = anatomy.texture.at(points, (2.0, 2.0, 2.0))
        inner = anatomy.tissue.pelvic_hu * (1 + 0.3 * grain)
        self._lay(image, lattice, bone + np.float32(anatomy.pelvis.cortex_mm), inner)

    def _lay(
        self, image: FloatArray, lattice: Lattice, field: FloatArray, hu: FloatArray | float
    ) -> None:
        box = lattice.box_below(field, self.pixel_mm)
        if box is None:
            return
        layers = [
            coverage(lattice.at_voxels(field, box, offset), self.pixel_mm)
            for offset in self.z_offsets
        ]
        covered = sum(layers[1:], layers[0]) / np.float32(len(layers))
        value = lattice.at_voxels(hu, box) if isinstance(hu, np.ndarray) else hu
        blend(image[box.slices], covered, value)

    def add_femur(
        self, image: FloatArray, femur: FemurAnatomy, periosteal: BoolArray, endosteal: BoolArray
    ) -> None:
        """Lay a femur over the image and write its masks, all in place."""
        lattice = Lattice.over(self.geometry, BONE_STEP_MM)
        coarse = femur.periosteal_field(femur.points_to_femur(lattice.points))
        box = lattice.box_below(coarse, SURFACE_MARGIN_MM)
        if box is None:
            return
        near = np.argwhere(lattice.at_voxels(coarse, box) < SURFACE_MARGIN_MM) + box.start_zyx
        voxels = tuple(near.T)
        outer = np.zeros(len(near), np.float32)
        inner = np.zeros(len(near), np.float32)
        for offset in self.z_offsets:
            points = femur.to_femur(self.geometry.index_to_lps(near + np.array((offset, 0, 0))))
            surface = femur.periosteal_field(points)
            within = surface + femur.cortical_thickness_mm(points)
            outer += coverage(surface, self.pixel_mm)
            inner += coverage(within, self.pixel_mm)
            if offset == 0.0:
                periosteal[voxels] = surface <= 0
                endosteal[voxels] = within <= 0
                marrow = trabecular_hu(femur, self.anatomy.tissue, self.anatomy.texture, points)
        outer /= len(self.z_offsets)
        inner /= len(self.z_offsets)
        cortex = self.anatomy.tissue.cortical_hu
        image[voxels] += outer * (cortex - image[voxels]) + inner * (marrow - cortex)
