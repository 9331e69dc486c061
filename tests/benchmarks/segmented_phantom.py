"""A phantom's femur scanned in another pose and segmented by the networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from model_export.phantoms.anatomy import HipSide, PhantomAnatomy, draw_phantom
from model_export.phantoms.femur_frame import place
from model_export.phantoms.protocol import Protocol, draw_protocol
from model_export.phantoms.scan import scan_femur
from service.domain.findings import FemurSide
from service.domain.geometry import Box, FloatArray, SpacingMm
from service.domain.imaging import CtVolume, FemurCrop, FemurMasks
from service.errors import FemurctError
from service.pipeline.cascade import (
    Networks,
    delivered_masks,
    find_surface,
    masked_crop,
)
from service.pipeline.resampling import to_network_grid

ABOVE_HEAD_MM = 25.0
BELOW_LESSER_MM = 95.0
AROUND_MM = 35.0
"""Every scan shows the whole proximal femur."""


class NothingFoundError(FemurctError):
    """The networks saw no femur in a phantom's scan."""

    code = "phantom_not_segmented"


@dataclass(frozen=True, eq=False)
class SegmentedPhantom:
    """One femur of a phantom; each scan has the voltage, kernel and noise of its seed.

    Attributes:
        anatomy: what is scanned.
        hip: the femur.
        protocol: of the scans, but for their voxels.
        networks: what segments them.
    """

    anatomy: PhantomAnatomy
    hip: HipSide
    protocol: Protocol
    networks: Networks

    @property
    def side(self) -> FemurSide:
        """Left or right."""
        return self.hip.placed.pose.side

    def masks(self, turn: FloatArray, shift_mm: FloatArray, spacing: SpacingMm) -> FemurMasks:
        """Both surfaces as the networks see them.

        Args:
            turn: flexion, abduction and external rotation that are added, radians.
            shift_mm: of the head, and of the femur with it.
            spacing: of the voxels.

        Raises:
            NothingFoundError: where a network saw nothing.
        """
        protocol = replace(
            self.protocol,
            pixel_mm=spacing.x,
            slice_mm=spacing.z,
            thickness_mm=spacing.z,
            above_head_mm=ABOVE_HEAD_MM,
            below_lesser_mm=BELOW_LESSER_MM,
            margins_mm=(AROUND_MM,) * 4,
        )
        scan = scan_femur(self.anatomy, self._posed(turn, shift_mm), protocol)
        volume = CtVolume(np.rint(scan.hu).astype(np.int16), scan.geometry)
        crop = FemurCrop(self.side, Box((0, 0, 0), volume.geometry.shape_zyx))
        outer_contract = self.networks.periosteal.contract
        cropped = to_network_grid(volume, crop, SpacingMm(*outer_contract.spacing_mm))
        outer = find_surface(cropped, self.networks.periosteal, None, _unwatched)
        if outer is None:
            raise NothingFoundError("no periosteal surface was found in the phantom's scan")
        inside = masked_crop(cropped, outer, self.networks.endosteal.contract.outside_hu)
        inner = find_surface(inside, self.networks.endosteal, None, _unwatched)
        return delivered_masks(outer, inner, self.side, volume.geometry)

    def _posed(self, turn: FloatArray, shift_mm: FloatArray) -> HipSide:
        pose = self.hip.placed.pose
        flexion, abduction, rotation = (float(a) for a in np.degrees(turn))
        x, y, z = (float(c) for c in np.add(pose.head_centre_lps_mm, shift_mm))
        moved = replace(
            pose,
            head_centre_lps_mm=(x, y, z),
            flexion_deg=pose.flexion_deg + flexion,
            abduction_deg=pose.abduction_deg + abduction,
            external_rotation_deg=pose.external_rotation_deg + rotation,
        )
        return HipSide(self.hip.framed, place(self.hip.framed.shape, moved), self.hip.index)


def segmented_phantom(seed: int, side: int, networks: Networks) -> SegmentedPhantom:
    """The left (0) or right (1) femur of the phantom of a seed."""
    anatomy = draw_phantom(seed)
    return SegmentedPhantom(anatomy, anatomy.sides[side], draw_protocol(seed, side), networks)


def _unwatched() -> None:
    """Nothing is told of the windows."""
