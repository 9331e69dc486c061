from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from service.domain.findings import FemurSide
from service.errors import GeometryError
from service.sample.anatomy import HipAnatomy, draw_anatomy
from service.sample.distance_fields import Points
from service.sample.femur import FemurAnatomy
from service.sample.femur_parameters import CortexShape


def shell(femur: FemurAnatomy) -> npt.NDArray[np.float64]:
    """Points within 1 mm of the surface, LPS mm, from a lattice over head to shaft."""
    axes = [np.arange(-75, 45, 2.0), np.arange(-45, 45, 2.0), np.arange(-60, 105, 2.0)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    near = np.abs(femur.periosteal_field(Points.of(grid))) < 1
    return femur.to_lps(grid[near])


def gradient(femur: FemurAnatomy, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    steps = 0.25 * np.eye(3)
    sides = [
        femur.periosteal_distance_mm(points + step) - femur.periosteal_distance_mm(points - step)
        for step in steps
    ]
    return np.stack(sides, axis=-1) / 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_field_is_close_to_a_distance_near_the_surface(seed: int) -> None:
    femur = draw_anatomy(seed).left

    slope = np.linalg.norm(gradient(femur, shell(femur)), axis=-1)

    # Below 1 in the fillets of the smooth unions.
    assert np.median(slope) == pytest.approx(1.0, abs=0.05)
    assert np.quantile(slope, 0.1) > 0.75
    assert np.quantile(slope, 0.98) < 1.15


def test_the_endosteal_surface_lies_within_the_periosteal_one(anatomy: HipAnatomy) -> None:
    points = shell(anatomy.right)

    outer = anatomy.right.periosteal_distance_mm(points)
    inner = anatomy.right.endosteal_distance_mm(points)

    assert (inner - outer).min() >= 0.7


def test_the_cortex_is_thick_at_the_medial_shaft_and_thin_on_the_head(anatomy: HipAnatomy) -> None:
    femur = anatomy.left
    top_of_head = np.add(femur.head_centre, (0, 0, femur.head_radius_mm))
    medial_shaft = (-femur.shape.shaft_radius_mm, 0, -60)

    thickness = femur.cortical_thickness_mm(Points.of(np.array([top_of_head, medial_shaft])))

    assert 0.8 <= thickness[0] <= 1.6
    assert thickness[1] == pytest.approx(femur.cortex.shaft_mm * 1.14, rel=0.03)


def test_the_top_of_the_head_lies_one_radius_above_its_centre(anatomy: HipAnatomy) -> None:
    x, y, z = anatomy.left.head_centre_lps_mm

    distance = anatomy.left.periosteal_distance_mm(
        np.array([[x, y, z + anatomy.left.head_radius_mm]])
    )

    assert distance == pytest.approx([0], abs=0.3)


def test_the_right_femur_is_the_mirror_image_of_the_left(anatomy: HipAnatomy) -> None:
    left = anatomy.left
    x, y, z = left.head_centre_lps_mm
    pose = replace(left.pose, side=FemurSide.RIGHT, head_centre_lps_mm=(-x, y, z))
    right = replace(left, pose=pose)
    points = shell(left)[::50]

    mirrored = right.periosteal_distance_mm(points * (-1, 1, 1))

    assert mirrored == pytest.approx(left.periosteal_distance_mm(points), abs=1e-3)


def test_flexion_lifts_the_knee_to_anterior(anatomy: HipAnatomy) -> None:
    left = anatomy.left
    straight = replace(left.pose, flexion_deg=0.0, abduction_deg=0.0, external_rotation_deg=0.0)
    flexed = replace(straight, flexion_deg=30.0)

    knee = replace(left, pose=flexed).to_lps((0, 0, -300))

    assert knee[1] < replace(left, pose=straight).to_lps((0, 0, -300))[1] - 150


def test_the_patient_frame_and_back_is_the_identity(anatomy: HipAnatomy) -> None:
    points = np.array([[1.0, 2, 3], [-40, 10, 70]])

    back = anatomy.right.to_femur(anatomy.right.to_lps(points))

    assert np.stack(back, axis=-1) == pytest.approx(points, abs=1e-3)


def test_a_cortex_without_thickness_is_refused() -> None:
    with pytest.raises(GeometryError, match="positive thickness"):
        CortexShape(shaft_mm=5, calcar_mm=3, head_mm=0, trochanter_mm=1)


def test_a_neck_that_points_down_is_refused(anatomy: HipAnatomy) -> None:
    with pytest.raises(GeometryError, match="neck-shaft angle"):
        replace(anatomy.left.shape, neck_shaft_angle_deg=80.0)
