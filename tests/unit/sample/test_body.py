import numpy as np

from service.sample.anatomy import HipAnatomy
from service.sample.body import soft_tissue, table_distance_mm
from service.sample.distance_fields import Points


def at(anatomy: HipAnatomy, *offsets: tuple[float, float, float]) -> Points:
    return Points.of(np.add(anatomy.pelvis.origin_lps_mm, offsets))


def test_both_femurs_lie_within_the_skin(anatomy: HipAnatomy) -> None:
    points = Points.of(np.array([femur.to_lps((0, 0, -80)) for femur in anatomy.femurs]))

    fields = soft_tissue(anatomy.body, anatomy.pelvis, anatomy.femurs, points)

    assert (fields.body_mm < -30).all()


def test_muscles_stay_inside_the_subcutaneous_fat(anatomy: HipAnatomy) -> None:
    rng = np.random.default_rng(0)
    points = at(anatomy, *rng.uniform(-200, 200, (4000, 3)).tolist())

    fields = soft_tissue(anatomy.body, anatomy.pelvis, anatomy.femurs, points)

    muscle = fields.muscle_mm < 0
    assert muscle.any()
    assert (fields.body_mm[muscle] < -anatomy.body.fat_mm).all()


def test_the_table_lies_below_the_back(anatomy: HipAnatomy) -> None:
    depth = np.arange(0, 200, 1.0)
    ray = at(anatomy, *[(0.0, float(d), 20.0) for d in depth])

    table = depth[np.argmax(table_distance_mm(anatomy.body, anatomy.pelvis, ray) < 0)]

    skin = soft_tissue(anatomy.body, anatomy.pelvis, anatomy.femurs, ray).body_mm
    assert depth[np.argmax(skin > 0)] < table
