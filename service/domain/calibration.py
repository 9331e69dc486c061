"""How HU become bone mineral density (no numpy)."""

from __future__ import annotations

from enum import StrEnum
from math import sqrt
from typing import Literal, Self

from pydantic import Field, model_validator

from service.domain.frozen import Frozen


class CalibrationMethod(StrEnum):
    """Where the line came from (ISCD 2019 positions, QCT): what it is worth differs."""

    SIMULTANEOUS = "simultaneous"
    """A phantom scanned under the patient."""
    ASYNCHRONOUS = "asynchronous"
    """A phantom scanned at another time on the same scanner and protocol."""
    INTERNAL = "internal"
    """The patient's own tissues, such as blood, muscle and fat."""


class Calibration(Frozen):
    """The line from HU to density: ``slope x HU + intercept``.

    Attributes:
        slope: mg/cm3 per HU; about 0.7-1.1 at 80-140 kVp.
        intercept: mg/cm3 at 0 HU.
        unit: of the density, with the mineral the phantom holds.
        method: how the line was found.
        slope_sd, intercept_sd: their standard uncertainties; both or neither.
        correlation: between the errors of slope and intercept.
    """

    slope: float = Field(gt=0, le=10, allow_inf_nan=False)
    intercept: float = Field(ge=-1000, le=1000, allow_inf_nan=False)
    unit: Literal["mg/cm3", "mg/cm3 K2HPO4", "mg/cm3 HA"]
    method: CalibrationMethod
    slope_sd: float | None = Field(default=None, ge=0, le=10, allow_inf_nan=False)
    intercept_sd: float | None = Field(default=None, ge=0, le=1000, allow_inf_nan=False)
    correlation: float = Field(default=0.0, ge=-1, le=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _both_uncertainties_or_neither(self) -> Self:
        if (self.slope_sd is None) != (self.intercept_sd is None):
            raise ValueError("give both slope_sd and intercept_sd, or neither")
        return self

    def density_mg_cm3(self, hu: float) -> float:
        """Density at a (mean) HU; the line is linear, so it holds for means, too."""
        return self.slope * hu + self.intercept

    def uncertainty_mg_cm3(self, hu: float) -> float | None:
        """Standard uncertainty of that density from the calibration alone (GUM, 5.2).

        None where the calibration states no uncertainty: none is made up.
        """
        if self.slope_sd is None or self.intercept_sd is None:
            return None
        of_slope = hu * self.slope_sd
        both = 2 * self.correlation * of_slope * self.intercept_sd
        return sqrt(max(of_slope**2 + self.intercept_sd**2 + both, 0.0))
