import numpy as np
import pytest

from service.errors import GeometryError
from service.sample.distance_fields import (
    Points,
    ellipsoid,
    elliptic_rod,
    round_cone,
    smooth_cut,
    smooth_step,
    smooth_union,
    sphere,
    unit,
)

ON_X = Points.of(np.array([[0.0, 0, 0], [4, 0, 0], [10, 0, 0]]))


def test_a_sphere_is_as_far_as_the_centre_less_the_radius() -> None:
    assert sphere(ON_X, (0, 0, 0), 4).tolist() == [-4, 0, 6]


def test_the_volume_of_a_sphere_on_a_lattice_is_4_3_pi_r3() -> None:
    ticks = np.arange(-12, 12, 0.5) + 0.25
    grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1)
    coverage = np.clip(0.5 - sphere(Points.of(grid), (0, 0, 0), 10.0) / 0.5, 0, 1)

    assert coverage.sum() * 0.125 == pytest.approx(4 / 3 * np.pi * 1000, rel=0.002)


def test_a_round_cone_with_equal_radii_is_a_capsule() -> None:
    points = Points.of(np.array([[5.0, 3, 0], [-4, 0, 0], [13, 0, 4]]))

    distances = round_cone(points, (0, 0, 0), 2, (10, 0, 0), 2)

    assert distances == pytest.approx([1, 2, 3])


def test_a_round_cone_ends_in_both_its_spheres() -> None:
    points = Points.of(np.array([[-7.0, 0, 0], [23, 0, 0]]))

    assert round_cone(points, (0, 0, 0), 6, (20, 0, 0), 2) == pytest.approx([1, 1], abs=1e-4)


def test_a_round_cone_within_one_of_its_spheres_is_refused() -> None:
    with pytest.raises(GeometryError, match="contains the other"):
        round_cone(ON_X, (0, 0, 0), 10, (1, 0, 0), 2)


def test_an_ellipsoid_is_zero_at_the_ends_of_its_axes() -> None:
    ends = Points.of(np.array([[3.0, 0, 0], [0, 5, 0], [0, 0, -7]]))

    assert ellipsoid(ends, (0, 0, 0), (3, 5, 7)) == pytest.approx([0, 0, 0], abs=1e-5)


def test_a_rod_is_stretched_up_and_shrunk_across_by_its_flattening() -> None:
    across = np.array([8.0, 0.0], np.float32)
    up = np.array([0.0, 12.5], np.float32)
    radius = np.array([10.0, 10.0], np.float32)

    distance = elliptic_rod(across, up, radius, np.array([0.25, 0.25], np.float32))

    assert distance == pytest.approx([0, 0], abs=1e-5)


def test_a_smooth_union_is_the_minimum_away_from_the_seam_and_a_quarter_blend_lower_on_it() -> None:
    first = np.array([1.0, 2.0], np.float32)
    second = np.array([9.0, 2.0], np.float32)

    assert smooth_union(first, second, 4).tolist() == [1, 1]


def test_a_smooth_cut_leaves_nothing_inside_the_cutter() -> None:
    solid = np.array([-5.0, -5.0], np.float32)
    cutter = np.array([-3.0, 20.0], np.float32)

    assert smooth_cut(solid, cutter, 2).tolist() == [3, -5]


def test_a_smooth_step_runs_from_0_to_1() -> None:
    values = np.array([-1.0, 0, 5, 10, 11], np.float32)

    assert smooth_step(values, 0, 10).tolist() == [0, 0, 0.5, 1, 1]


def test_a_unit_vector_has_length_1() -> None:
    assert unit((3, 0, 4)) == pytest.approx((0.6, 0, 0.8))
