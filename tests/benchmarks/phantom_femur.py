"""One femur of an anatomical phantom, scanned in any pose with exact masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from model_export.phantoms.anatomy import HipSide, draw_phantom
from model_export.phantoms.bones import BoneFields, femur_fields
from model_export.phantoms.scan import FemurScan
from service.domain.findings import FemurSide
from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks
from service.sample.distance_fields import Points

BELOW_LESSER_MM = 85.0
MARGIN_MM = 12.0
"""A scan shows the femur down to there, with so much around it: osteophytes stand out by 10 mm."""


@dataclass(frozen=True, eq=False)
class PhantomFemur:
    """A femur of a phantom.

    Attributes:
        hip: its frame, pose and side.
        bone: its fields.
    """

    hip: HipSide
    bone: BoneFields

    @property
    def side(self) -> FemurSide:
        """Left or right."""
        return self.hip.placed.pose.side

    def to_lps(self, points: FloatArray) -> FloatArray:
        """From the femur's frame."""
        return self.hip.placed.to_lps(points)

    def direction_to_lps(self, vector: FloatArray) -> FloatArray:
        """From the femur's frame."""
        return self.to_lps(vector) - self.to_lps(np.zeros(3))

    def masks(self, grid: VolumeGeometry) -> FemurMasks:
        """The exact masks by the phantom's own voxeliser."""
        scan = FemurScan(np.empty((0, 0, 0), np.float32), grid, self.hip, self.bone)
        periosteal, endosteal = scan.masks(grid)
        return FemurMasks(self.side, periosteal, endosteal & periosteal, grid)

    def surfaces(
        self, points: FloatArray
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Both surfaces' fields at LPS points, mm, negative inside."""
        at: Points = self.hip.placed.to_femur(points)
        outer = self.bone.surface.at(at)
        return outer, outer + self.bone.thickness.at(at)

    def grid(self, turn: FloatArray, shift_mm: FloatArray, spacing: SpacingMm) -> VolumeGeometry:
        """The turned grid that shows the femur down to ``BELOW_LESSER_MM``.

        Args:
            turn: rotation vector of the grid's axes, radians.
            shift_mm: of all voxels along the grid's x, y, z.
            spacing: of the voxels.
        """
        points = self.hip.framed.surface.points
        axes = Rotation.from_rotvec(turn).as_matrix()
        steps = np.array([spacing.x, spacing.y, spacing.z])
        along = self.to_lps(points[points[:, 2] > -BELOW_LESSER_MM]) @ axes
        low = along.min(axis=0) - MARGIN_MM + shift_mm
        counts = np.ceil((along.max(axis=0) + MARGIN_MM - low) / steps).astype(int) + 1
        affine = np.eye(4)
        affine[:3, :3] = axes * steps
        affine[:3, 3] = axes @ low
        return VolumeGeometry((int(counts[2]), int(counts[1]), int(counts[0])), affine)


def phantom_femur(seed: int, side: int) -> PhantomFemur:
    """The left (0) or right (1) femur of the phantom of a seed."""
    anatomy = draw_phantom(seed)
    hip = anatomy.sides[side]
    return PhantomFemur(hip, femur_fields(anatomy, hip))
