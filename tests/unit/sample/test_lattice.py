import numpy as np
import pytest

from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.sample.lattice import Lattice, grid_points

GRID = VolumeGeometry.axis_aligned((12, 20, 30), SpacingMm(2.0, 1.0, 0.8), (5.0, -3.0, 40.0))


def test_a_linear_field_is_interpolated_exactly() -> None:
    lattice = Lattice.over(GRID, 3.0)
    field = 2 * lattice.points.x - lattice.points.y + 0.5 * lattice.points.z
    box = Box((2, 3, 4), (9, 12, 20))

    voxels = grid_points(GRID.crop(box), [np.arange(n, dtype=float) for n in box.shape_zyx])

    expected = 2 * voxels.x - voxels.y + 0.5 * voxels.z
    assert lattice.at_voxels(field, box) == pytest.approx(expected, abs=1e-3)
    assert lattice.at_voxels(field, box, 0.5) == pytest.approx(expected + 0.5, abs=1e-3)


def test_the_box_below_a_limit_holds_every_voxel_below_it() -> None:
    lattice = Lattice.over(GRID, 2.0)
    field = np.abs(lattice.points.x - 17) - 4

    box = lattice.box_below(field, 0.0)

    assert box is not None
    columns = 5.0 + 0.8 * np.arange(30)
    inside = np.flatnonzero(np.abs(columns - 17) < 4)
    assert box.start_zyx[2] <= inside[0]
    assert box.stop_zyx[2] > inside[-1]


def test_no_place_below_the_limit_gives_no_box() -> None:
    lattice = Lattice.over(GRID, 2.0)

    assert lattice.box_below(np.ones_like(lattice.points.x), 0.0) is None
