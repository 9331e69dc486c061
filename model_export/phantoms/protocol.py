"""How a phantom is scanned: voltage, kernel, noise, grid, field of view; drawn from its seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_export.phantoms.subject import side_generator

PROTOCOL_STREAM = 24
"""Keeps these draws apart from the others of the same seed."""

BONE_SCALE_BY_KVP = {80.0: 1.35, 100.0: 1.16, 120.0: 1.0, 140.0: 0.9}
"""HU of bone and iodine relative to 120 kVp."""

SLICES_MM = (0.6, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.27, 4.0, 5.0)

STREAKED_SHARE = 0.35
"""Share of the scans with noise drawn out along the line through both hips."""

MARGIN_MM = 40.0
"""What a full field of view leaves around the femur in plane."""

CROPPED_SHARE = 0.25
CUT_TOP_SHARE = 0.1
SHORT_SHARE = 0.25
"""Shares of the scans whose field of view is cropped, that begin below the top of the head or that
end soon after the lesser trochanter."""

WHOLE_PELVIS_SHARE = 0.2
"""Share of the scans that show the pelvis up to the sacrum, as one of abdomen and pelvis does."""

PELVIS_ABOVE_HEAD_MM = (60.0, 140.0)
PELVIS_MEDIAL_MM = (50.0, 100.0)
"""Ranges of what such a scan shows above the head's top and medial of the femur; a crop of it goes
as far (``service.pipeline.crop``)."""


@dataclass(frozen=True)
class Protocol:
    """One scan of one femur.

    Attributes:
        pixel_mm: in plane.
        slice_mm: distance of the slices.
        thickness_mm: of a slice; overlapping where it exceeds ``slice_mm``.
        kvp: tube voltage.
        sigma_mm: Gaussian point spread in plane.
        sharpening: of the kernel: 0 soft, towards 1 for bone, with overshoot at edges.
        noise_hu, noise_grain_mm: standard deviation and correlation length.
        streak_noise_hu: standard deviation of what is drawn out along x.
        above_head_mm: reach above the head's top; negative: the head is cut.
        below_lesser_mm: reach below the lesser trochanter.
        margins_mm: of the field of view around the femur: towards x low, x high, y low, y high;
            negative: the femur is cut.
    """

    pixel_mm: float
    slice_mm: float
    thickness_mm: float
    kvp: float
    sigma_mm: float
    sharpening: float
    noise_hu: float
    noise_grain_mm: float
    streak_noise_hu: float
    above_head_mm: float
    below_lesser_mm: float
    margins_mm: tuple[float, float, float, float]

    @property
    def bone_scale(self) -> float:
        """HU of bone and iodine relative to 120 kVp."""
        return BONE_SCALE_BY_KVP[self.kvp]


def draw_protocol(seed: int, side: int) -> Protocol:
    """The same seed and side (0 left, 1 right) always give the same protocol."""
    shared = np.random.default_rng((seed, PROTOCOL_STREAM))
    pixel = float(np.round(shared.uniform(0.4, 1.0), 4))
    spacing = float(shared.choice(SLICES_MM))
    bone_kernel = shared.random() < 0.3
    sharpening = float(shared.uniform(0.4, 1.0) if bone_kernel else shared.uniform(0, 0.15))
    kvp = float(shared.choice((80.0, 100.0, 120.0, 140.0), p=(0.06, 0.2, 0.5, 0.24)))
    sigma = float(shared.uniform(0.35, 0.55) if bone_kernel else shared.uniform(0.5, 0.85))
    noise = float(shared.uniform(20, 60) if bone_kernel else shared.uniform(6, 30))
    overlap = 1.25 if shared.random() < 0.3 else 1.0
    own = side_generator(seed, PROTOCOL_STREAM, side)
    margins = own.uniform(0.6 * MARGIN_MM, MARGIN_MM, 4)
    if own.random() < CROPPED_SHARE:
        margins[own.integers(0, 4)] = own.uniform(-18, 5)
    cut_top = own.random() < CUT_TOP_SHARE
    short = own.random() < SHORT_SHARE
    above_head = own.uniform(-20, -4) if cut_top else own.uniform(10, 45)
    below_lesser = own.uniform(5, 40) if short else own.uniform(40, 140)
    if own.random() < WHOLE_PELVIS_SHARE:
        above_head = own.uniform(*PELVIS_ABOVE_HEAD_MM)
        margins[side] = own.uniform(*PELVIS_MEDIAL_MM)
    return Protocol(
        pixel_mm=pixel,
        slice_mm=spacing,
        thickness_mm=spacing * overlap,
        kvp=kvp,
        sigma_mm=max(sigma, 0.5 * pixel),
        sharpening=sharpening,
        noise_hu=noise,
        noise_grain_mm=0.45 if bone_kernel else float(shared.uniform(0.5, 0.9)),
        streak_noise_hu=float(shared.uniform(3, 12)) if shared.random() < STREAKED_SHARE else 0.0,
        above_head_mm=float(above_head),
        below_lesser_mm=float(below_lesser),
        margins_mm=(float(margins[0]), float(margins[1]), float(margins[2]), float(margins[3])),
    )
