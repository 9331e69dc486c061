from itertools import permutations, product

import numpy as np
import pytest

from service.domain.geometry import AxisOrder, Box, SpacingMm, VolumeGeometry
from service.errors import GeometryError


def grid(
    shape: tuple[int, int, int] = (4, 5, 6), origin: tuple[float, float, float] = (10.0, 20.0, 30.0)
) -> VolumeGeometry:
    return VolumeGeometry.axis_aligned(shape, SpacingMm(z=3.0, y=2.0, x=0.5), origin)


def test_an_index_maps_to_the_origin_plus_steps_times_spacing() -> None:
    assert grid().index_to_lps((1, 2, 3)).tolist() == [10 + 1.5, 20 + 4.0, 30 + 3.0]


def test_lps_to_index_undoes_index_to_lps() -> None:
    points = np.array([[0.0, 0.0, 0.0], [3.0, 1.5, 2.25]])
    np.testing.assert_allclose(grid().lps_to_index(grid().index_to_lps(points)), points)


def test_ras_negates_the_first_two_rows() -> None:
    assert grid().affine_ras[:3, 3].tolist() == [-10.0, -20.0, 30.0]


def test_a_crop_keeps_every_voxel_in_its_place() -> None:
    box = Box((1, 2, 3), (3, 5, 6))
    assert grid().crop(box).shape_zyx == (2, 3, 3)
    np.testing.assert_allclose(
        grid().crop(box).index_to_lps((1, 1, 1)), grid().index_to_lps((2, 3, 4))
    )


def test_a_crop_past_the_volume_is_refused() -> None:
    with pytest.raises(GeometryError, match="reaches past"):
        grid().crop(Box((0, 0, 0), (5, 1, 1)))


def test_flip_x_keeps_every_voxel_in_its_place() -> None:
    np.testing.assert_allclose(
        grid().flip_x().index_to_lps((1, 2, 0)), grid().index_to_lps((1, 2, 5))
    )


def test_a_sheared_grid_has_the_volume_of_its_determinant() -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[1, 2] = 1.0  # slices slide 1 mm in y: columns are longer than 2 mm, the volume is not
    assert VolumeGeometry((2, 2, 2), affine).voxel_volume_mm3 == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("start", "stop"), [((0, 0, 0), (1, 0, 1)), ((-1, 0, 0), (1, 1, 1)), ((2, 0, 0), (1, 1, 1))]
)
def test_a_box_without_voxels_cannot_be_made(
    start: tuple[int, int, int], stop: tuple[int, int, int]
) -> None:
    with pytest.raises(GeometryError, match="holds no voxel"):
        Box(start, stop)


@pytest.mark.parametrize(
    "affine", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)], ids=["zero", "nan", "3 x 3"]
)
def test_a_grid_that_cannot_exist_is_refused(affine: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        VolumeGeometry((1, 1, 1), affine)


SIGNED_PERMUTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]


@pytest.mark.parametrize(("axes", "signs"), SIGNED_PERMUTATIONS)
def test_every_orientation_turns_to_spl_and_back_exactly(
    axes: tuple[int, int, int], signs: tuple[float, float, float]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for column, (row, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[row, column] = sign * (1.0 + 0.1 * column)
    source = VolumeGeometry((3, 4, 5), affine)
    array = np.arange(60).reshape(3, 4, 5)
    order = AxisOrder.closest_to_spl(source)
    turned, geometry = order.apply(array), order.apply_geometry(source)

    assert turned.shape == geometry.shape_zyx
    assert (np.diagonal(geometry.affine_lps)[:3] > 0).all()
    np.testing.assert_array_equal(order.invert(turned), array)
    index = (2, 1, 2)  # any voxel: the same value at the same place in the patient
    back = np.rint(source.lps_to_index(geometry.index_to_lps(index))).astype(int)
    assert turned[index] == array[tuple(back)]


def test_an_oblique_grid_turns_to_the_closest_axes() -> None:
    angle = np.deg2rad(30)
    affine = np.eye(4)
    affine[:3, :3] = [
        [np.cos(angle), -np.sin(angle), 0],
        [np.sin(angle), np.cos(angle), 0],
        [0, 0, -1],
    ]
    order = AxisOrder.closest_to_spl(VolumeGeometry((2, 2, 2), affine))
    assert order == AxisOrder(permutation=(0, 1, 2), flipped=(True, False, False))
