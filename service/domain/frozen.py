"""What all report parts are made from (no numpy)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Vector = tuple[float, float, float]
"""A point or direction, (x, y, z), LPS."""


class Frozen(BaseModel):
    """Base of all report parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
