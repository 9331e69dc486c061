"""How sure the networks were of a femur: part of the report (no numpy)."""

from __future__ import annotations

from service.domain.frozen import Frozen


class SurfaceConfidence(Frozen):
    """How sure a network was of one surface.

    Attributes:
        entropy_bits: mean binary entropy of its probabilities within two voxels of the surface,
            0 (sure) to 1.
        expected_dice: the Dice coefficient that goes with it, of the endosteal surface with both
            entropies, by the network file's own fit to cases with a reference; null where the file
            holds none, and where ``METAL`` is flagged: none of those cases held metal.
    """

    entropy_bits: float
    expected_dice: float | None


class FemurConfidence(Frozen):
    """How sure the networks were of one femur; ``endosteal`` is null where none was found."""

    periosteal: SurfaceConfidence
    endosteal: SurfaceConfidence | None
