"""Masks as run lengths, small enough to stand in JSON."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.artifacts.source_grid import ByteArray


class RunLengths(BaseModel):
    """A mask as lengths of runs in C order (x fastest), alternately of zeros and ones, zeros first.

    A mask whose first voxel is 1 starts with a run of 0 zeros; an empty one is a single run.

    Attributes:
        shape_zyx: of the mask.
        counts: run lengths; they add up to the number of voxels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape_zyx: tuple[int, int, int]
    counts: tuple[Annotated[int, Field(ge=0)], ...]

    @model_validator(mode="after")
    def _covers_every_voxel(self) -> RunLengths:
        z, y, x = self.shape_zyx
        if sum(self.counts) != z * y * x:
            raise ValueError(f"runs cover {sum(self.counts)} voxels of {z * y * x}")
        return self


def encode(mask: npt.NDArray[np.bool_] | ByteArray) -> RunLengths:
    """Run lengths of a mask.

    Args:
        mask: bool or uint8 ``[z, y, x]``; every non-zero voxel counts as 1.
    """
    z, y, x = mask.shape
    # of the few voxels of a bone; comparing all with their neighbours takes copies of the volume
    ones = np.flatnonzero(mask.astype(np.bool_, copy=False))
    begins = np.diff(ones, prepend=-2) > 1
    ends = np.diff(ones, append=mask.size + 1) > 1
    edges = np.column_stack([ones[begins], ones[ends] + 1]).ravel()
    runs = np.diff(edges, prepend=0, append=mask.size)
    if edges.size and edges[-1] == mask.size:
        runs = runs[:-1]
    return RunLengths(shape_zyx=(z, y, x), counts=tuple(runs.tolist()))


def decode(runs: RunLengths) -> npt.NDArray[np.bool_]:
    """The mask again, bool ``[z, y, x]``: ``decode(encode(mask))`` equals ``mask != 0``."""
    values = np.arange(len(runs.counts)) % 2 == 1
    return np.repeat(values, runs.counts).reshape(runs.shape_zyx)
