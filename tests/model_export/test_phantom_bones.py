"""Shape model, frame, fields, cortex and trabeculae of the anatomical phantoms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("musculoskeletal", reason="the shape model's package is not installed")

from model_export.phantoms.anatomy import PhantomAnatomy, draw_phantom
from model_export.phantoms.bones import BoneFields, femur_fields, pelvis_fields
from model_export.phantoms.field_grid import distance_grid
from model_export.phantoms.measures import joint_gap_mm, measure
from model_export.phantoms.shape_model import BoneSurface, fit_ball, shape_model
from model_export.phantoms.subject import Joint
from service.sample.distance_fields import Points

SEED = 5003


def _ball_surface(radius: float) -> BoneSurface:
    """Evenly spread points of a sphere about the origin (Fibonacci lattice)."""
    count = 6000
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    flat = np.sqrt(1 - z**2)
    normals = np.stack((flat * np.cos(turn), flat * np.sin(turn), z), axis=1)
    return BoneSurface(radius * normals, normals)


@pytest.fixture(scope="module")
def anatomy() -> PhantomAnatomy:
    return draw_phantom(SEED)


@pytest.fixture(scope="module")
def femur(anatomy: PhantomAnatomy) -> BoneFields:
    return femur_fields(anatomy, anatomy.sides[0])


def test_the_mean_femur_has_the_size_that_the_reference_data_states():
    model = shape_model()
    bones = model.bones(np.zeros(model.mode_count))
    length = np.ptp(bones.femur.points[:, 2])
    assert length == pytest.approx(434, abs=2)
    assert model.mode_count == 26
    # a closed surface with outward normals: its mean normal, weighted evenly, nearly vanishes
    assert np.sum(bones.femur.normals * (bones.femur.points - bones.femur.points.mean(axis=0))) > 0


def test_weights_beyond_two_standard_deviations_are_held_there():
    model = shape_model()
    far = np.zeros(model.mode_count)
    far[0] = 9.0
    two = np.zeros(model.mode_count)
    two[0] = 2.0
    assert np.array_equal(model.bones(far).femur.points, model.bones(two).femur.points)


def test_a_ball_is_found_again_from_its_surface():
    ball = fit_ball(_ball_surface(20.0).points + np.array((1.0, 2.0, 3.0)))
    assert ball.centre == pytest.approx((1, 2, 3), abs=1e-6)
    assert ball.radius_mm == pytest.approx(20, abs=1e-6)


def test_the_distance_to_a_ball_is_its_radius_less_within_a_few_hundredths():
    grid = distance_grid(_ball_surface(20.0), (-30, -30, -30), (30, 30, 30), 1.0)
    along = np.array([[r / np.sqrt(3)] * 3 for r in (17.0, 19.0, 20.0, 21.0, 23.0)])
    assert grid.at(Points.of(along)) == pytest.approx((-3, -1, 0, 1, 3), abs=0.06)


@pytest.mark.parametrize("turned", [1, 3])
def test_points_of_a_folded_element_make_no_bar_of_bone_outside(turned: int):
    ball = _ball_surface(20.0)
    normals = ball.normals.copy()
    normals[3000 : 3000 + turned] *= -1  # neighbours in the lattice lie apart
    folded = distance_grid(BoneSurface(ball.points, normals), (-30,) * 3, (30,) * 3, 1.0)
    outside = np.linalg.norm(np.stack(folded.nodes(), axis=-1), axis=-1) > 21
    assert folded.values[outside].min() > 0


def test_a_sample_with_folded_elements_is_one_piece_of_bone():
    sample = draw_phantom(4012)
    bone = femur_fields(sample, sample.sides[1]).surface.values < 0
    assert ndimage.label(bone)[1] == 1
    assert not bone[:, 0].any()  # the front of the grid, 12 mm before the femur


def test_the_frame_has_the_head_medial_and_above_the_lesser_trochanter(anatomy: PhantomAnatomy):
    for side in anatomy.sides:
        x, _, z = side.placed.head_centre
        assert x < -20
        assert z > 40
        assert 110 < side.placed.shape.neck_shaft_angle_deg < 145


def test_the_cortex_is_thin_on_the_head_and_above_the_neck_and_thick_in_the_shaft(
    anatomy: PhantomAnatomy,
):
    found = measure(anatomy, anatomy.sides[0])
    assert 0.4 <= found.head_cortex_mm < 1.6
    assert 0.4 <= found.superior_neck_mm < found.inferior_neck_mm < found.shaft_mm
    assert 3.0 < found.shaft_mm < 8.0
    assert found.ward_hu < found.head_hu


@pytest.mark.parametrize("gap_mm", [1.0, 2.0, 4.5])
def test_the_pelvis_is_carved_to_the_gap_of_the_joint(
    anatomy: PhantomAnatomy, femur: BoneFields, gap_mm: float
):
    joint = Joint(gap_mm, 0, 0, 0.0)
    subject = replace(anatomy.subject, joints=(joint, joint))
    side = anatomy.sides[0]
    centre = np.array(side.placed.head_centre_lps_mm)
    low, high = centre - 40, centre + 40
    box = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    pelvis = pelvis_fields(replace(anatomy, subject=subject), side, femur, box)
    nodes = pelvis.surface.nodes()
    off = femur.surface.at(side.placed.points_to_femur(nodes))
    assert off[pelvis.surface.values <= 0].min() >= gap_mm - 1e-3


@pytest.mark.parametrize("gap_mm", [1.0, 7.0])
def test_the_gap_in_the_roof_is_the_one_of_the_joint(
    anatomy: PhantomAnatomy, femur: BoneFields, gap_mm: float
):
    joint = Joint(gap_mm, 0, 0, 0.0)
    moved = replace(anatomy, subject=replace(anatomy.subject, joints=(joint, joint)))
    assert joint_gap_mm(moved, moved.sides[0], femur) == pytest.approx(gap_mm, abs=0.15)
