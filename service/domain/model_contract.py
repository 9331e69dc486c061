"""What an ONNX file promises; written into its metadata by the exporter, read from it at load."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from service.domain.window import WINDOW_DEPTH

METADATA_KEY = "femurct.contract"
"""The key of the contract's JSON in the ONNX file's ``metadata_props``."""


class DiceFit(BaseModel):
    """How well the networks' entropy near a surface predicts its Dice coefficient.

    ``ln(1 - DSC) = intercept + slope x ln(entropy in bits)``, for the endosteal surface with both
    surfaces' entropies added, by least squares over cases with a reference that the network was
    not trained on.

    Attributes:
        cases: femurs fitted to.
        correlation: Pearson's, of both logarithms over them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    intercept: float
    slope: float = Field(gt=0, description="the more doubt, the lower the Dice")
    cases: int = Field(ge=3)
    correlation: float = Field(ge=-1, le=1)


class ModelContract(BaseModel):
    """The promise of one network file.

    Input ``hu``: float32 ``[1, 1, z, y, x]``, raw HU of a left (or mirrored right) femur on the
    contract's grid; clipping and scaling happen inside the graph. Output ``probability``: float32
    of the same shape, the foreground's softmax probability. z, y and x are multiples of
    ``size_multiple``.

    Attributes:
        role: which surface the network finds.
        spacing_mm: voxel spacing (z, y, x) in mm (paper, section 4: 0.8 x 0.8 x 0.987).
        window_zyx: the paper's window (section 2.3: 192 x 192 x 64).
        size_multiple: four halvings, so each side is a multiple of 16.
        outside_hu: HU outside the periosteal mask for the endosteal network; a window of
            nothing else is not run.
        configuration_sha256: of the training configuration.
        git_revision: of the code that exported the file.
        trained_on: one sentence on the data.
        dice_fit: what its doubt near a surface says of its accuracy; None where not known.
        int8_bounds: names of tensors that are never below 0, and where their values are cut off
            for convolutions of them on int8; empty where the file was not calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: Literal["femurct.model/1"] = "femurct.model/1"
    role: Literal["periosteal", "endosteal"]
    spacing_mm: tuple[float, float, float] = (1.0, 0.8, 0.8)
    window_zyx: tuple[int, int, int] = (WINDOW_DEPTH, 192, 192)
    size_multiple: int = Field(default=16, ge=1)
    outside_hu: float = -500.0
    input_name: Literal["hu"] = "hu"
    output_name: Literal["probability"] = "probability"
    configuration_sha256: str = ""
    git_revision: str = ""
    trained_on: str = ""
    dice_fit: DiceFit | None = None
    int8_bounds: tuple[tuple[str, PositiveFloat], ...] = ()


class ModelFile(BaseModel):
    """One network file by content, and what it promises."""

    model_config = ConfigDict(frozen=True)

    role: Literal["periosteal", "endosteal"]
    sha256: str
    contract: ModelContract
