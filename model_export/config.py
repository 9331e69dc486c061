"""Frozen training configurations; the one used is saved in every checkpoint.

``paper`` is section 2.3 of the paper as written. ``cpu`` departs from it so that a useful network
comes out of an hour on two cores; every departure stands at its field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["periosteal", "endosteal"]
ConfigurationName = Literal["paper", "cpu", "cpu-refine"]
SizeZyx = tuple[int, int, int]


class AugmentationConfig(BaseModel):
    """Ranges from which each patch's augmentation is drawn; 0 switches one off.

    The defaults are the paper's three kinds (section 2.2: noise, brightness, 3D scaling); it gives
    no ranges, so these are ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_hu: float = Field(default=40.0, ge=0, description="largest sigma of Gaussian noise")
    offset_hu: float = Field(default=40.0, ge=0, description="brightness, additive, either way")
    gain: float = Field(default=0.1, ge=0, lt=1, description="brightness, multiplicative")
    contrast: float = Field(default=0.1, ge=0, lt=1, description="about the patch's mean")
    scale: float = Field(default=0.15, ge=0, lt=0.5, description="size, 1 - scale to 1 + scale")
    rotation_deg: float = Field(default=0.0, ge=0, le=45, description="departure: any axis")
    blur_voxels: float = Field(default=0.0, ge=0, description="departure: largest sigma of blur")
    sharpen: float = Field(default=0.0, ge=0, description="departure: largest unsharp-mask gain")
    slab_voxels: int = Field(default=0, ge=0, description="departure: thickest slab mean along z")


class TrainingConfig(BaseModel):
    """Everything that decides the weights, besides the cases and the budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Role
    channels: tuple[int, int, int, int, int] = (16, 32, 64, 128, 256)
    patch_zyx: SizeZyx = (64, 192, 192)
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_share: float = Field(default=0.0, ge=0, lt=1, description="of the budget, linear from 0")
    dice_weight: float = Field(default=0.0, ge=0, description="of a soft Dice loss; paper: none")
    gradient_clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    freeze_norm_at: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the budget after which batch norm uses its running statistics",
    )
    norm_patches: int = Field(default=40, ge=1, description="to estimate batch-norm statistics")
    real_share: float = Field(default=0.5, ge=0, le=1, description="of patches from real series")
    background_share: float = Field(
        default=0.1, ge=0, le=1, description="of patches on bone that is not femur, or anywhere"
    )
    upper_share: float = Field(default=0.5, ge=0, le=1, description="at the proximal end, if seen")
    augmentation: AugmentationConfig = AugmentationConfig()
    validate_every: int = Field(default=200, ge=1)
    validation_patches: int = Field(default=12, ge=0)
    checkpoint_every: int = Field(default=50, ge=1)
    seed: int = 0

    def sha256(self) -> str:
        """Hexadecimal digest of the configuration's canonical JSON."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def paper(role: Role) -> TrainingConfig:
    """The paper's training: Adam 1e-4, batch 1, patch 192x192x64, softmax cross entropy."""
    return TrainingConfig(name="paper", role=role)


def cpu(role: Role) -> TrainingConfig:
    """An hour on two cores.

    Departures: smaller patches, many times the learning rate with warm-up and cosine decay to 0,
    weight decay, a Dice term, gradient clipping, batch norm frozen for the last quarter (with
    batches of one the network otherwise never trains with the statistics it is used with), and
    augmentation by rotation, blur, sharpening and thick slices.
    """
    return TrainingConfig(
        name="cpu",
        role=role,
        patch_zyx=(48, 80, 80),
        learning_rate=1e-3,
        weight_decay=1e-4,
        schedule="cosine",
        warmup_share=0.03,
        dice_weight=1.0,
        gradient_clip=1.0,
        freeze_norm_at=0.75,
        real_share=0.4,
        background_share=0.1 if role == "periosteal" else 0.0,
        augmentation=AugmentationConfig(
            rotation_deg=12.0, blur_voxels=1.0, sharpen=0.8, slab_voxels=4
        ),
    )


def cpu_refine(role: Role) -> TrainingConfig:
    """A second round after ``cpu``, from its weights, against bones taken for femur.

    Departures from ``cpu``: a third of the patches lie on bone that is not femur (after ``cpu`` the
    ischium, a ring like a shaft, passed for one), wider patches that show both, a third of the
    learning rate, and batch norm frozen from the start.
    """
    return cpu(role).model_copy(
        update={
            "name": "cpu-refine",
            "patch_zyx": (48, 96, 96),
            "learning_rate": 3e-4,
            "freeze_norm_at": 1e-6,
            "background_share": 0.35,
        }
    )


CONFIGURATIONS: dict[ConfigurationName, Callable[[Role], TrainingConfig]] = {
    "paper": paper,
    "cpu": cpu,
    "cpu-refine": cpu_refine,
}


def named(name: ConfigurationName, role: Role) -> TrainingConfig:
    """The configuration of that name."""
    return CONFIGURATIONS[name](role)
