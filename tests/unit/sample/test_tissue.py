import numpy as np

from service.sample.anatomy import HipAnatomy
from service.sample.distance_fields import Points
from service.sample.texture import Texture
from service.sample.tissue import trabecular_hu


def test_the_head_is_dense_wards_triangle_weak_and_the_shaft_full_of_marrow(
    anatomy: HipAnatomy,
) -> None:
    femur, tissue = anatomy.left, anatomy.tissue
    smooth = Texture(np.zeros((4, 4, 4), np.float32))
    ward = np.add(femur.neck_base, np.multiply(femur.neck_direction, 0.36 * femur.neck_length_mm))
    places = Points.of(np.array([femur.head_centre, ward, (0, 0, -70)]))

    head, weak, marrow = trabecular_hu(femur, tissue, smooth, places)

    assert head > tissue.head_hu * 0.95
    assert marrow < weak < head / 2
    assert abs(marrow - tissue.marrow_hu) < 5
