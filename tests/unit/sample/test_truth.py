import numpy as np
import pytest

from service.sample.anatomy import HipAnatomy
from service.sample.distance_fields import Points
from service.sample.scanner import RenderedCt
from service.sample.truth import SampleFemurTruth


def test_four_regions_make_the_total_and_three_the_combination(
    left_truth: SampleFemurTruth,
) -> None:
    volumes = left_truth.volumes_cm3
    parts = [volumes.head, volumes.neck, volumes.trochanter, volumes.intertrochanter]
    assert volumes.total is not None
    assert volumes.combination is not None
    integrals = [part.integral for part in parts if part is not None]

    assert sum(integrals) == pytest.approx(volumes.total.integral)
    assert sum(integrals[1:]) == pytest.approx(volumes.combination.integral)
    assert volumes.total.cortical + volumes.total.trabecular == pytest.approx(
        volumes.total.integral
    )


@pytest.mark.parametrize("compartment", ["integral", "trabecular"])
def test_voxels_of_the_masks_above_the_distal_plane_sum_to_the_total(
    compartment: str, left_truth: SampleFemurTruth, left_crop: RenderedCt
) -> None:
    distal = left_truth.geometry.planes.distal
    assert distal is not None
    masks = left_crop.left
    mask = masks.periosteal if compartment == "integral" else masks.endosteal
    points = left_crop.geometry.index_to_lps(np.argwhere(mask))
    above = (points - distal.point_lps_mm) @ distal.normal_lps >= 0
    counted = above.sum() * left_crop.geometry.voxel_volume_mm3 / 1000

    assert counted == pytest.approx(getattr(left_truth.volumes_cm3.total, compartment), rel=0.01)


def test_the_head_is_a_sphere_less_the_cap_beyond_the_neck_plane(
    left_truth: SampleFemurTruth,
) -> None:
    radius, neck = left_truth.geometry.head_radius_mm, left_truth.geometry.neck_radius_mm
    assert radius is not None
    assert neck is not None
    assert left_truth.volumes_cm3.head is not None
    height = radius - np.sqrt(radius**2 - neck**2)
    sphere = 4 / 3 * np.pi * radius**3 - np.pi * height**2 * (radius - height / 3)

    # The fillet to the neck adds a little and the fovea takes a little.
    assert left_truth.volumes_cm3.head.integral == pytest.approx(sphere / 1000, rel=0.04)


def test_the_axes_found_are_those_the_femur_was_drawn_with(
    anatomy: HipAnatomy, left_truth: SampleFemurTruth
) -> None:
    geometry = left_truth.geometry
    assert geometry.neck_axis_lps is not None
    drawn = -np.array(anatomy.left.neck_direction) @ anatomy.left.rotation_to_femur

    assert geometry.neck_shaft_angle_deg == pytest.approx(
        anatomy.left.shape.neck_shaft_angle_deg, abs=3
    )
    assert np.degrees(np.arccos(drawn @ geometry.neck_axis_lps)) < 3


def test_the_lesser_trochanter_is_a_point_of_the_surface_near_its_cone(
    anatomy: HipAnatomy, left_truth: SampleFemurTruth
) -> None:
    point = left_truth.geometry.lesser_trochanter_lps_mm
    assert point is not None
    reach = anatomy.left.shape.lesser_reach_mm / np.sqrt(2)
    tip = Points.of(anatomy.left.to_lps([(-reach, reach, 0.0)]))
    x, y, z = point

    assert anatomy.left.periosteal_distance_mm(np.array([point])) == pytest.approx([0], abs=0.1)
    assert tip.minus((x, y, z)).length()[0] < 10
