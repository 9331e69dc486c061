import numpy as np
import pytest

from service.sample.anatomy import draw_anatomy
from service.sample.distance_fields import Points


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_roof_lies_one_joint_gap_above_the_head(seed: int) -> None:
    hip = draw_anatomy(seed)
    for femur, socket in ((hip.left, hip.pelvis.left), (hip.right, hip.pelvis.right)):
        x, y, z = femur.head_centre_lps_mm
        above = np.arange(0, 8, 0.05)
        ray = np.stack([0 * above + x, 0 * above + y, z + femur.head_radius_mm + above], axis=-1)

        bone = above[np.argmax(hip.pelvis.distance_mm(Points.of(ray)) <= 0)]

        assert 1.5 <= socket.gap_mm <= 4.0
        assert bone == pytest.approx(socket.gap_mm, abs=0.3)


def test_the_socket_is_open_where_the_neck_leaves() -> None:
    hip = draw_anatomy(0)
    x, y, z = hip.left.head_centre_lps_mm
    a, b, c = hip.pelvis.left.opening
    ray = Points.of(np.array([[x + a * d, y + b * d, z + c * d] for d in (25.0, 40.0, 60.0)]))

    assert (hip.pelvis.distance_mm(ray) > 5).all()


def test_the_pelvis_leaves_the_heads_free() -> None:
    hip = draw_anatomy(1)
    for femur in hip.femurs:
        assert hip.pelvis.distance_mm(Points.of(np.array([femur.head_centre_lps_mm])))[0] > 20
