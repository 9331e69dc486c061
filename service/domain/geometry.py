"""Where a voxel lies in the patient: index <-> LPS millimetres, boxes, crop and exact uncrop.

Arrays are ``[z, y, x]`` everywhere; points in the patient are ``(x, y, z)`` in LPS millimetres
(DICOM PS3.3 C.7.6.2.1.1: x grows to the patient's left, y to posterior, z to superior).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from service.errors import GeometryError

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T", bound=np.generic)

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI's world is RAS, DICOM's LPS: the first two axes change sign."""


class SpacingMm(NamedTuple):
    """Distance between neighbouring voxel centres along each array axis, in mm."""

    z: float
    y: float
    x: float


CONTRACT_SPACING_MM = SpacingMm(z=1.0, y=0.8, x=0.8)
"""The networks' grid (paper, section 4: 0.8 x 0.8 x 0.987 mm)."""


@dataclass(frozen=True)
class Box:
    """A half-open index box ``[start, stop)`` in array order ``(z, y, x)``.

    Raises:
        GeometryError: if a start is negative or a stop is not above its start.
    """

    start_zyx: tuple[int, int, int]
    stop_zyx: tuple[int, int, int]

    def __post_init__(self) -> None:
        if any(a < 0 or b <= a for a, b in zip(self.start_zyx, self.stop_zyx, strict=True)):
            raise GeometryError(
                f"box from {self.start_zyx} to {self.stop_zyx} holds no voxel; "
                "each stop must be above its start and no start negative"
            )

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        z, y, x = (b - a for a, b in zip(self.start_zyx, self.stop_zyx, strict=True))
        return z, y, x

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index expression for an array ``[z, y, x]``."""
        z, y, x = (slice(a, b) for a, b in zip(self.start_zyx, self.stop_zyx, strict=True))
        return z, y, x

    def within(self, shape_zyx: tuple[int, int, int]) -> bool:
        """Whether the whole box lies in an array of this shape."""
        return all(b <= n for b, n in zip(self.stop_zyx, shape_zyx, strict=True))


@dataclass(frozen=True, eq=False)
class VolumeGeometry:
    """The grid of a volume in the patient.

    Attributes:
        shape_zyx: voxels along slice, row and column axes.
        affine_lps: 4 x 4 float64, maps ``(x index, y index, z index, 1)`` (column, row, slice) to
            LPS mm; read-only. It may be oblique, flipped or sheared (gantry tilt), never singular.

    Raises:
        GeometryError: for an empty shape or an affine that is not finite, not 4 x 4 or singular.
    """

    shape_zyx: tuple[int, int, int]
    affine_lps: FloatArray

    def __post_init__(self) -> None:
        affine = np.array(self.affine_lps, dtype=np.float64)
        if min(self.shape_zyx) < 1:
            raise GeometryError(f"a volume of shape {self.shape_zyx} holds no voxel")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError("an affine must be 4 x 4 and finite")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise GeometryError(
                "the affine is singular: two voxel axes are parallel or of length 0"
            )
        affine.setflags(write=False)
        object.__setattr__(self, "affine_lps", affine)

    @classmethod
    def axis_aligned(
        cls,
        shape_zyx: tuple[int, int, int],
        spacing_mm: SpacingMm,
        origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> VolumeGeometry:
        """A grid whose x, y, z axes are L, P, S; ``origin_lps_mm`` is the centre of voxel 0."""
        affine = np.diag([spacing_mm.x, spacing_mm.y, spacing_mm.z, 1.0])
        affine[:3, 3] = origin_lps_mm
        return cls(shape_zyx, affine)

    @property
    def spacing_mm(self) -> SpacingMm:
        """Distance between neighbouring voxel centres along each axis, in mm."""
        x, y, z = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return SpacingMm(z=float(z), y=float(y), x=float(x))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3 (exact for a sheared grid, too)."""
        return float(abs(np.linalg.det(self.affine_lps[:3, :3])))

    @property
    def affine_ras(self) -> FloatArray:
        """The affine into RAS mm, as NIfTI's sform wants it."""
        return LPS_TO_RAS @ self.affine_lps

    def index_to_lps(self, points_zyx: npt.ArrayLike) -> FloatArray:
        """Voxel indices ``(..., 3)`` in array order to LPS mm ``(..., 3)`` as ``(x, y, z)``."""
        xyz = np.asarray(points_zyx, dtype=np.float64)[..., ::-1]
        return xyz @ self.affine_lps[:3, :3].T + self.affine_lps[:3, 3]

    def lps_to_index(self, points_lps_mm: npt.ArrayLike) -> FloatArray:
        """LPS mm ``(..., 3)`` as (x, y, z) to fractional indices ``(..., 3)`` as ``(z, y, x)``."""
        inverse = np.linalg.inv(self.affine_lps)
        xyz = np.asarray(points_lps_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        zyx: FloatArray = xyz[..., ::-1]
        return zyx

    def crop(self, box: Box) -> VolumeGeometry:
        """The grid of ``array[box.slices]``.

        Raises:
            GeometryError: if the box does not lie within the grid.
        """
        if not box.within(self.shape_zyx):
            raise GeometryError(f"box to {box.stop_zyx} reaches past a volume of {self.shape_zyx}")
        affine = self.affine_lps.copy()
        affine[:3, 3] = self.index_to_lps(box.start_zyx)
        return VolumeGeometry(box.shape_zyx, affine)

    def flip_x(self) -> VolumeGeometry:
        """The grid of ``array[:, :, ::-1]``: same voxels, same places, columns counted back."""
        affine = self.affine_lps.copy()
        affine[:3, 3] += affine[:3, 0] * (self.shape_zyx[2] - 1)
        affine[:3, 0] *= -1.0
        return VolumeGeometry(self.shape_zyx, affine)


@dataclass(frozen=True)
class AxisOrder:
    """How a source array is turned so that its axes run closest to S, P, L: exact, no resampling.

    Attributes:
        permutation: source axis that becomes z, y, x of the turned array.
        flipped: whether that axis is then reversed.
    """

    permutation: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def closest_to_spl(cls, geometry: VolumeGeometry) -> AxisOrder:
        """The turn under which index z grows to superior, y to posterior and x to left.

        The axis pairing that maximises the sum of the absolute direction cosines is taken.
        """
        columns = geometry.affine_lps[:3, :3]
        directions = columns / np.linalg.norm(columns, axis=0)
        # rows: patient z, y, x; columns: array axes z, y, x
        cosines = directions[::-1, ::-1]
        orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
        best = max(orders, key=lambda o: sum(abs(cosines[i, o[i]]) for i in range(3)))
        z, y, x = (bool(cosines[i, best[i]] < 0) for i in range(3))
        return cls(permutation=best, flipped=(z, y, x))

    def apply(self, array: npt.NDArray[T]) -> npt.NDArray[T]:
        """A turned view of ``array``; no copy."""
        return np.transpose(array, self.permutation)[self._steps]

    def invert(self, array: npt.NDArray[T]) -> npt.NDArray[T]:
        """A view of a turned array in the source's own order; ``invert(apply(a))`` is ``a``."""
        z, y, x = (int(i) for i in np.argsort(self.permutation))
        return np.transpose(array[self._steps], (z, y, x))

    def apply_geometry(self, geometry: VolumeGeometry) -> VolumeGeometry:
        """The grid of ``apply(array)``: every voxel keeps its place in the patient."""
        z, y, x = (geometry.shape_zyx[axis] for axis in self.permutation)
        columns = []
        origin_zyx = np.zeros(3)
        for axis, flip in zip(self.permutation, self.flipped, strict=True):
            step = geometry.affine_lps[:3, 2 - axis]
            origin_zyx[axis] = geometry.shape_zyx[axis] - 1 if flip else 0
            columns.append(-step if flip else step)
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack(columns[::-1])
        affine[:3, 3] = geometry.index_to_lps(origin_zyx)
        return VolumeGeometry((z, y, x), affine)

    @property
    def _steps(self) -> tuple[slice, slice, slice]:
        z, y, x = (slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return z, y, x
