from dataclasses import replace

import numpy as np
import pytest

from service.sample.anatomy import HipAnatomy
from service.sample.landmarks import section


def test_a_section_of_the_round_shaft_is_a_disc(anatomy: HipAnatomy) -> None:
    shape = replace(anatomy.left.shape, shaft_flattening=0.0, bow_radius_mm=1e6)
    femur = replace(anatomy.left, shape=shape, ripples=())

    cut = section(femur, np.array([0.0, 0, -70]), np.array([0.0, 0, 1]))

    # The linea aspera adds a few per cent at the back.
    disc = np.pi * shape.shaft_radius_mm**2
    assert disc < cut.area_mm2 < 1.06 * disc
    assert cut.centroid == pytest.approx([0, 0, -70], abs=0.6)


def test_a_section_beside_the_bone_is_empty(anatomy: HipAnatomy) -> None:
    cut = section(anatomy.left, np.array([100.0, 0, -70]), np.array([0.0, 0, 1]))

    assert cut.area_mm2 == 0
