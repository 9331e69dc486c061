"""Frozen training configurations; the one used is saved in every checkpoint.

``paper`` is sections 2.2, 2.3 and 3.2 of the paper as written. Every other configuration departs
from it, and ``DEPARTURES`` says where and why; a field's default may be a departure, ``paper``
sets every field that the paper speaks of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Role = Literal["periosteal", "endosteal"]
SizeZyx = tuple[int, int, int]
ConfigurationName = Literal[
    "paper",
    "paper-unet",
    "paper-cropped",
    "paper-both-sides",
    "paper-cosine",
    "paper-dice",
    "paper-small",
    "paper-mixed",
    "cpu",
    "cpu-refine",
    "cpu-settle",
    "cpu-pelvis",
    "cpu-slices",
    "cpu-deep",
    "cpu-unet",
    "cpu-cropped",
    "smoke",
]

VNET_CHANNELS = (16, 32, 64, 128, 256)
"""8,622,530 parameters; the paper says about 8.6 M."""

UNET_CHANNELS = (20, 40, 80, 160, 312)
"""8,641,842 parameters. The paper does not give its baseline's size; these widths match the V-Net's
to 0.3 %, so that the layouts are what is compared."""

SIZE_MULTIPLE = 16
"""Four halvings: each side of a patch is a multiple of it."""


class AugmentationConfig(BaseModel):
    """Ranges from which each patch's augmentation is drawn; 0 switches one off.

    The defaults are the paper's three kinds (section 2.2: noise, brightness, 3D scaling); it gives
    no ranges, so these are ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_hu: float = Field(default=40.0, ge=0, description="largest sigma of Gaussian noise")
    offset_hu: float = Field(default=40.0, ge=0, description="brightness, additive, either way")
    gain: float = Field(default=0.1, ge=0, lt=1, description="brightness, multiplicative")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="departure: about the mean")
    scale: float = Field(default=0.15, ge=0, lt=0.5, description="size, 1 - scale to 1 + scale")
    rotation_deg: float = Field(default=0.0, ge=0, le=45, description="departure: any axis")
    blur_voxels: float = Field(default=0.0, ge=0, description="departure: largest sigma of blur")
    sharpen: float = Field(default=0.0, ge=0, description="departure: largest unsharp-mask gain")
    slab_voxels: int = Field(default=0, ge=0, description="departure: thickest slices, touching")
    pixel_voxels: int = Field(default=0, ge=0, description="departure: widest pixels, touching")


class TrainingConfig(BaseModel):
    """Everything that decides the weights, besides the cases and the budget.

    Batches hold one patch (paper, section 2.3). The optimizer is Adam, with decoupled weight decay
    where ``weight_decay`` is not 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Role
    architecture: Literal["vnet", "unet"] = "vnet"
    channels: tuple[int, int, int, int, int] = VNET_CHANNELS
    patch_zyx: SizeZyx = (64, 192, 192)
    placement: Literal["surface", "crop"] = Field(
        default="surface",
        description="of patches: about a surface voxel, or any slices of the crop about the femur",
    )
    endosteal_input: Literal["masked", "cropped"] = Field(
        default="masked", description="the CT inside the periosteal mask, or all of the crop"
    )
    perturb_mask: bool = Field(
        default=True, description="move that mask's surface by up to a voxel while training"
    )
    loss_reach_voxels: int | None = Field(
        default=3,
        ge=0,
        description="departure, endosteal: the loss counts this far past the periosteal mask; "
        "None: all of the patch (equation 1)",
    )
    right_femurs: bool = Field(default=True, description="also train on mirrored right femurs")
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_share: float = Field(default=0.0, ge=0, lt=1, description="of the budget, linear from 0")
    epochs: int | None = Field(
        default=None, ge=1, description="budget where none is asked for; one is a patch of each"
    )
    mixed_precision: bool = Field(default=False, description="on a CUDA device; a CPU has none")
    dice_weight: float = Field(default=0.0, ge=0, description="of a soft Dice loss; paper: none")
    gradient_clip: float | None = Field(default=None, gt=0, description="largest gradient norm")
    freeze_norm_at: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the budget after which batch norm uses its running statistics",
    )
    norm_patches: int = Field(default=40, ge=1, description="to estimate batch-norm statistics")
    real_share: float | None = Field(
        default=0.5, ge=0, le=1, description="of patches from real series; None: any case alike"
    )
    background_share: float = Field(
        default=0.1, ge=0, le=1, description="of patches on bone that is not femur, or anywhere"
    )
    upper_share: float = Field(default=0.5, ge=0, le=1, description="at the proximal end, if seen")
    augmentation: AugmentationConfig = AugmentationConfig()
    select: Literal["last", "best"] = Field(
        default="last", description="the weights a run stands for: last, or best validation DSC"
    )
    validate_every: int = Field(default=200, ge=1)
    validation_patches: int = Field(default=12, ge=0)
    checkpoint_every: int = Field(default=50, ge=1)
    seed: int = 0

    @field_validator("patch_zyx")
    @classmethod
    def _halves_four_times(cls, patch_zyx: SizeZyx) -> SizeZyx:
        if any(side < SIZE_MULTIPLE or side % SIZE_MULTIPLE for side in patch_zyx):
            raise ValueError(f"sides must be multiples of {SIZE_MULTIPLE}, found {patch_zyx}")
        return patch_zyx

    def sha256(self) -> str:
        """Hexadecimal digest of the configuration's canonical JSON."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def paper(role: Role) -> TrainingConfig:
    """The paper's training, as far as it says (sections 2.2, 2.3, 2.4 and 3.2).

    Left femurs; any 64 slices of the 192 x 192 crop about the femur; Adam at a constant 1e-4 for
    800 epochs; softmax cross entropy over the whole patch; noise, brightness and 3D scaling; the
    endosteal network sees the CT inside the reference periosteal mask; the weights of the best
    validation DSC are kept.
    """
    return TrainingConfig(
        name="paper",
        role=role,
        architecture="vnet",
        channels=VNET_CHANNELS,
        patch_zyx=(64, 192, 192),
        placement="crop",
        endosteal_input="masked",
        perturb_mask=False,
        loss_reach_voxels=None,
        right_femurs=False,
        learning_rate=1e-4,
        weight_decay=0.0,
        schedule="constant",
        epochs=800,
        dice_weight=0.0,
        real_share=None,
        background_share=0.0,
        upper_share=0.0,
        select="best",
        # two slabs of each of the paper's eight validation subjects
        validation_patches=16,
    )


CPU_AUGMENTATION = AugmentationConfig(
    contrast=0.1, rotation_deg=12.0, blur_voxels=1.0, sharpen=0.8, slab_voxels=4
)


def cpu(role: Role) -> TrainingConfig:
    """An hour on two cores.

    Departures: smaller patches about the surface, mirrored right femurs, many times the learning
    rate with warm-up and cosine decay to 0, weight decay, a Dice term, gradient clipping, batch
    norm frozen for the last quarter (with batches of one the network otherwise never trains with
    the statistics it is used with), periosteal masks perturbed (in use they are not exact), an
    endosteal loss over the periosteal mask and 3 voxels about it (past them the masked CT shows
    nothing), the last weights, and augmentation by contrast, rotation, blur, sharpening and thick
    slices. Of the masked CT there is no patch on other bone: it would be blank.
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
        augmentation=CPU_AUGMENTATION,
    )


@dataclass(frozen=True)
class Departure:
    """A configuration as another one and what differs; the differences are validated on use."""

    base: Literal["paper", "cpu"]
    changes: Mapping[str, object]


THICK_SLICES = {**CPU_AUGMENTATION.model_dump(), "slab_voxels": 6}

LATER_ROUND: Mapping[str, object] = {
    "patch_zyx": (48, 96, 96),
    "learning_rate": 3e-4,
    "freeze_norm_at": 1e-6,
}
"""From the weights of ``cpu``: wider patches, a third of its rate, batch norm frozen throughout."""

DEPARTURES: dict[ConfigurationName, Departure] = {
    # The paper's baseline (section 5).
    "paper-unet": Departure("paper", {"architecture": "unet", "channels": UNET_CHANNELS}),
    # The paper's ablation (section 5): endosteal from all of the cropped CT.
    "paper-cropped": Departure("paper", {"endosteal_input": "cropped"}),
    # Twice the cases: right femurs, mirrored, as they are in use.
    "paper-both-sides": Departure("paper", {"right_femurs": True}),
    # Ends in a minimum instead of hopping about it; the last weights then are the ones to keep.
    "paper-cosine": Departure(
        "paper", {"schedule": "cosine", "warmup_share": 0.03, "select": "last"}
    ),
    # Weighs a small femur in a large patch like a large one.
    "paper-dice": Departure("paper", {"dice_weight": 1.0}),
    # A fifth of the memory and time per step; the patches lie about the surface to be learnt.
    "paper-small": Departure("paper", {"patch_zyx": (48, 96, 96), "placement": "surface"}),
    # Half the memory, and tensor cores, on a GPU.
    "paper-mixed": Departure("paper", {"mixed_precision": True}),
    # A second round, against bones taken for femur: a third of the patches on bone that is not
    # femur (the ischium, a ring like a shaft, passed for one), wider ones that show both.
    "cpu-refine": Departure("cpu", {**LATER_ROUND, "background_share": 0.35}),
    # A last round after ``cpu-refine``, whose many patches on other bone leave the rim of the head
    # out where the joint is narrow: patches as wide, as few of them on other bone as in ``cpu``.
    "cpu-settle": Departure("cpu", LATER_ROUND),
    # A last round with scans that show the pelvis up to the sacrum, which passed for femur: twice
    # as many patches on other bone as in ``cpu-settle``.
    "cpu-pelvis": Departure("cpu", {**LATER_ROUND, "background_share": 0.2}),
    # The same for scans of 5 mm slices, where the roof of the joint lies in the slice plane.
    "cpu-slices": Departure(
        "cpu", {**LATER_ROUND, "background_share": 0.2, "augmentation": THICK_SLICES}
    ),
    # A last round for windows deeper than the patches of the others: at twice their depth most
    # voxels lie far from an end of the patch, as they do in use. Also for pixels of up to 3.2 mm.
    "cpu-deep": Departure(
        "cpu",
        {
            **LATER_ROUND,
            "patch_zyx": (96, 96, 96),
            "augmentation": {**THICK_SLICES, "pixel_voxels": 4},
        },
    ),
    # The two ablations within a CPU's reach. The network of the cropped CT is used on all of the
    # crop, so that it also trains on other bone and its loss counts all that it sees.
    "cpu-unet": Departure("cpu", {"architecture": "unet", "channels": UNET_CHANNELS}),
    "cpu-cropped": Departure(
        "cpu",
        {"endosteal_input": "cropped", "background_share": 0.1, "loss_reach_voxels": None},
    ),
    # Shows in seconds that cases and commands work; the network is too small to find anything.
    "smoke": Departure(
        "cpu",
        {
            "channels": (2, 4, 8, 16, 32),
            "patch_zyx": (16, 48, 48),
            "norm_patches": 2,
            "validate_every": 5,
            "validation_patches": 2,
            "checkpoint_every": 5,
        },
    ),
}


def named(name: ConfigurationName, role: Role) -> TrainingConfig:
    """The configuration of that name."""
    if name == "paper":
        return paper(role)
    if name == "cpu":
        return cpu(role)
    departure = DEPARTURES[name]
    base = named(departure.base, role).model_dump()
    return TrainingConfig.model_validate({**base, **departure.changes, "name": name})
