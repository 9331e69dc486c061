"""A coarse lattice over a voxel grid, where smooth fields are evaluated and interpolated from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from service.domain.geometry import Box, VolumeGeometry
from service.sample.distance_fields import FloatArray, Points


def grid_points(geometry: VolumeGeometry, axes_zyx: Sequence[npt.NDArray[np.floating]]) -> Points:
    """LPS points of the product of three index axes, each component [z, y, x] float32."""
    z, y, x = (np.asarray(axis, dtype=np.float64) for axis in axes_zyx)
    affine = geometry.affine_lps
    components = [
        (
            affine[row, 0] * x[None, None, :]
            + affine[row, 1] * y[None, :, None]
            + affine[row, 2] * z[:, None, None]
            + affine[row, 3]
        ).astype(np.float32)
        for row in range(3)
    ]
    return Points(*components)


@dataclass(frozen=True)
class Lattice:
    """Nodes about `step_mm` apart that span the grid and half a voxel beyond."""

    geometry: VolumeGeometry
    step_mm: float

    @classmethod
    def over(cls, geometry: VolumeGeometry, step_mm: float) -> Self:
        """Lay a lattice over a grid."""
        return cls(geometry, step_mm)

    @cached_property
    def axes_zyx(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Index positions of the nodes along z, y, x."""
        axes = []
        for count, spacing in zip(self.geometry.shape_zyx, self.geometry.spacing_mm, strict=True):
            # No finer than the voxels themselves.
            nodes = min(int(np.ceil(count * spacing / self.step_mm)), count) + 1
            axes.append(np.linspace(-0.5, count - 0.5, nodes))
        return tuple(axes)

    @cached_property
    def points(self) -> Points:
        """LPS points of the nodes."""
        return grid_points(self.geometry, self.axes_zyx)

    def box_below(self, field: FloatArray, limit: float) -> Box | None:
        """Voxel box of all places where the field is below a limit; None: there is none."""
        below = field < limit
        if not below.any():
            return None
        start, stop = [], []
        for axis, nodes in enumerate(self.axes_zyx):
            hit = np.flatnonzero(below.any(axis=tuple(a for a in range(3) if a != axis)))
            first, last = max(hit[0] - 1, 0), min(hit[-1] + 1, len(nodes) - 1)
            start.append(max(int(np.ceil(nodes[first])), 0))
            stop.append(min(int(np.floor(nodes[last])) + 1, self.geometry.shape_zyx[axis]))
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def whole(self) -> Box:
        """Return the box of the whole grid."""
        return Box((0, 0, 0), self.geometry.shape_zyx)

    def at_voxels(self, field: FloatArray, box: Box, z_offset: float = 0.0) -> FloatArray:
        """Interpolate a field from the nodes to the voxels of a box moved by `z_offset` slices."""
        values = field
        for axis, nodes in enumerate(self.axes_zyx):
            index = np.arange(box.start_zyx[axis], box.stop_zyx[axis], dtype=np.float64)
            index += z_offset if axis == 0 else 0.0
            position = (index - nodes[0]) / (nodes[1] - nodes[0])
            lower = np.clip(position.astype(np.intp), 0, len(nodes) - 2)
            shape = [1, 1, 1]
            shape[axis] = -1
            share = (position - lower).astype(np.float32).reshape(shape)
            first = np.take(values, lower, axis=axis)
            step = np.take(values, lower + 1, axis=axis)
            step -= first
            step *= share
            first += step
            values = first
        return values
