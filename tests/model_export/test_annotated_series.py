import numpy as np
import pytest
from scipy import ndimage

from model_export.annotated_series import VALIDATION_SERIES, annotated_series
from model_export.cases import to_training_case
from tests.reference_data import DATA, needs_reference_data

pytestmark = needs_reference_data


def test_masks_of_a_series_lie_on_its_bone():
    source = next(iter(annotated_series(DATA)))
    assert source.name == "STS_001"
    case = to_training_case(source)
    cortex = (case.periosteal == 1) & (case.endosteal == 0) & (case.trust == 2)
    assert np.median(case.hu[cortex]) > 700
    # README-2: 198.8 cm3 within the outer surface in view, on a grid of 3.27 mm slices
    assert case.periosteal.sum() * 0.64 / 1000 == pytest.approx(198.8, rel=0.03)


def test_the_validation_series_is_the_one_that_may_not_be_trained_on():
    assert VALIDATION_SERIES == ("STS_020",)


def test_the_surface_over_a_thin_cortex_is_not_learned_from_half_maximum_labels():
    source = next(iter(annotated_series(DATA)))
    inner = ndimage.binary_erosion(source.periosteal, border_value=1)
    surface = source.periosteal & ~inner
    # in plane only: the distance across slices of 3.27 mm says nothing about a cortex of 1 mm
    depth_mm = ndimage.distance_transform_edt(~source.endosteal, sampling=(1e3, 0.977, 0.977))
    assert (source.trust[surface & (depth_mm < 1.5)] == 0).all()
    thick_shaft = (surface & (depth_mm > 5))[10:20]
    assert (source.trust[10:20][thick_shaft] > 0).mean() > 0.75


def test_scores_may_ask_for_the_trust_that_training_leaves_out():
    learned, scored = (
        next(iter(annotated_series(DATA, trust_thin_cortex=keep))).trust for keep in (False, True)
    )
    differs = learned != scored
    assert differs.any()
    assert (learned[differs] == 0).all()
