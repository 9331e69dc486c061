"""A subject drawn from a seed: age, bone, pose, joint disease, what else lies near the hips.

Numbers come from the literature listed in ``docs/phantoms.md``; where a range is not cited there it
was chosen to look like the real series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUBJECT_STREAM = 21
"""Keeps these draws apart from those of shape, protocol and noise of the same seed."""

DEGENERATE_SHARE = 0.25
"""Share of the joints with osteoarthritis."""

FLEXED_SHARE = 0.12
"""Share of the subjects who lie with the thighs flexed by 15 to 35 degrees."""

CONTRAST_SHARE = 0.3
TUMOUR_SHARE = 0.3
METAL_SHARE = 0.15
CALCIFIED_SHARE = 0.4
PHANTOM_SHARE = 0.35
"""Shares of the subjects with contrast medium in the vessels, a mass near the femur, metal,
calcified vessels and a calibration phantom under them."""


def side_generator(seed: int, stream: int, side: int) -> np.random.Generator:
    """Draws of one side (0 left, 1 right), apart from those of ``(seed, stream)`` itself.

    NumPy pads a seed with zeros: ``(seed, stream, 0)`` would repeat ``(seed, stream)``.
    """
    return np.random.default_rng((seed, stream, side + 1))


@dataclass(frozen=True)
class Cortex:
    """Thickness of a femur's cortex in mm by site.

    Attributes:
        head, superior_neck, side_neck, inferior_neck, trochanter, shaft: mm; ``shaft`` is medial
            and lateral, in front and behind it is thinner.
    """

    head: float
    superior_neck: float
    side_neck: float
    inferior_neck: float
    trochanter: float
    shaft: float


@dataclass(frozen=True)
class Tissue:
    """HU of bone at 120 kVp.

    Attributes:
        cortical: compact bone of the femur; pelvic compact bone is ``pelvic_share`` of it.
        pelvic_share: more porous.
        head, background: trabecular bone of the head and between the trabecular groups.
        compressive, tensile, trochanteric: what the groups add.
        ward: HU of Ward's triangle.
        marrow: of the shaft.
        pelvic: trabecular bone of the pelvis.
        grain: standard deviation of the texture, share of the local HU above marrow.
        transition: added next to the cortex, whose inner border is not sharp.
    """

    cortical: float
    pelvic_share: float
    head: float
    background: float
    compressive: float
    tensile: float
    trochanteric: float
    ward: float
    marrow: float
    pelvic: float
    grain: float
    transition: float


@dataclass(frozen=True)
class Joint:
    """One hip joint.

    Attributes:
        gap_mm: between the bones in the roof.
        osteophytes: number on the femoral head's border; 0 in a healthy joint.
        cysts: subchondral, number.
        sclerosis_mm: added thickness of the subchondral plates.
    """

    gap_mm: float
    osteophytes: int
    cysts: int
    sclerosis_mm: float


@dataclass(frozen=True)
class Subject:
    """See the module; angles in degrees; pairs are (left, right); ``fatty_muscle`` is 0 to 1."""

    seed: int
    age: float
    cortex: Cortex
    tissue: Tissue
    joints: tuple[Joint, Joint]
    anteversion_deg: float
    flexion_deg: tuple[float, float]
    abduction_deg: tuple[float, float]
    rotation_deg: tuple[float, float]
    pelvic_tilt_deg: float
    pelvic_roll_deg: float
    fat_mm: float
    fatty_muscle: float
    contrast_hu: float
    tumour: bool
    metal: bool
    calcified: bool
    calibration_phantom: bool


def draw_subject(seed: int) -> Subject:
    """The same seed always gives the same subject."""
    rng = np.random.default_rng((seed, SUBJECT_STREAM))
    age = float(rng.uniform(25, 90))
    flexed = rng.random() < FLEXED_SHARE
    flexion = float(rng.uniform(15, 35)) if flexed else float(rng.normal(2, 5))
    spread = float(rng.normal(-1, 4))
    rotation = float(rng.normal(5, 8))
    return Subject(
        seed=seed,
        age=age,
        cortex=_draw_cortex(rng, age),
        tissue=_draw_tissue(rng, age),
        joints=(_draw_joint(rng, age), _draw_joint(rng, age)),
        anteversion_deg=float(np.clip(rng.normal(14, 6), 2, 28)),
        flexion_deg=_pair(rng, flexion, 4, (-10, 38)),
        abduction_deg=_pair(rng, spread, 3, (-11, 14)),
        rotation_deg=_pair(rng, rotation, 5, (-15, 28)),
        pelvic_tilt_deg=float(rng.normal(0, 6)),
        pelvic_roll_deg=float(rng.normal(0, 2)),
        fat_mm=float(rng.uniform(8, 45)),
        fatty_muscle=float(np.clip(rng.uniform(0, 0.5) + 0.5 * (age - 25) / 65, 0, 1)),
        contrast_hu=float(rng.uniform(110, 280)) if rng.random() < CONTRAST_SHARE else 0.0,
        tumour=bool(rng.random() < TUMOUR_SHARE),
        metal=bool(rng.random() < METAL_SHARE),
        calcified=bool(rng.random() < CALCIFIED_SHARE and age > 50),
        calibration_phantom=bool(rng.random() < PHANTOM_SHARE),
    )


def _pair(
    rng: np.random.Generator, mean: float, difference: float, limits: tuple[float, float]
) -> tuple[float, float]:
    left, right = np.clip(mean + rng.normal(0, difference / 2, 2), *limits)
    return float(left), float(right)


def _draw_cortex(rng: np.random.Generator, age: float) -> Cortex:
    """Poole 2010: 25 to 85 years 1.63 to 0.33 mm superiorly, 3.9 to 3.3 mm inferiorly, women."""
    old = (age - 25) / 60
    factor = float(np.clip(rng.normal(1.0, 0.12), 0.72, 1.3))
    return Cortex(
        head=max(0.55, float(rng.uniform(0.75, 1.15)) * factor * (1.1 - 0.2 * old)),
        superior_neck=max(0.5, (1.65 - 1.1 * old) * factor * float(rng.uniform(0.9, 1.2))),
        side_neck=max(0.8, (2.0 - 0.8 * old) * factor),
        inferior_neck=(3.9 - 0.6 * old) * factor,
        trochanter=max(0.8, (1.9 - 0.6 * old) * factor * float(rng.uniform(0.85, 1.15))),
        shaft=(6.8 - 1.3 * old) * factor,
    )


def _draw_tissue(rng: np.random.Generator, age: float) -> Tissue:
    old = (age - 25) / 60
    density = float(np.clip(1.2 - 0.42 * old + rng.normal(0, 0.13), 0.5, 1.4))
    loose = float(np.clip(1.25 - 0.75 * old + rng.normal(0, 0.15), 0.2, 1.5))
    cortical = float(np.clip(1400 - 160 * old + rng.normal(0, 110), 1000, 1700))
    return Tissue(
        cortical=cortical,
        pelvic_share=float(rng.uniform(0.6, 0.8)),
        head=float(rng.uniform(200, 270)) * density,
        background=float(rng.uniform(75, 115)) * loose,
        compressive=float(rng.uniform(80, 145)) * density,
        tensile=float(rng.uniform(70, 130)) * density,
        trochanteric=float(rng.uniform(20, 60)) * density,
        ward=float(rng.uniform(-70, -25)) + 110 * loose * float(rng.uniform(0.6, 1.0)),
        marrow=float(rng.uniform(-95, -45)) + 45 * max(0.0, 1 - 1.5 * old),
        pelvic=float(rng.uniform(130, 220)) * density,
        grain=float(rng.uniform(0.12, 0.26)),
        transition=float(rng.uniform(0, 260)) * density,
    )


def _draw_joint(rng: np.random.Generator, age: float) -> Joint:
    """Lequesne 2004: 4.19 +- 0.92 mm, 2 to 7 mm, in healthy hips, whatever the age."""
    if age > 45 and rng.random() < DEGENERATE_SHARE * 65 / 45:
        return Joint(
            gap_mm=float(rng.uniform(1.0, 2.8)),
            osteophytes=int(rng.integers(2, 9)),
            cysts=int(rng.integers(0, 4)),
            sclerosis_mm=float(rng.uniform(0.5, 2.5)),
        )
    return Joint(float(np.clip(rng.normal(4.19, 0.92), 2.0, 7.0)), 0, 0, 0.0)
