from math import sqrt

import pytest
from pydantic import ValidationError

from service.domain.calibration import Calibration

LINE = {"slope": 0.8, "intercept": -4.0, "unit": "mg/cm3 HA", "method": "asynchronous"}


def test_density_is_slope_times_hu_plus_intercept() -> None:
    assert Calibration.model_validate(LINE).density_mg_cm3(500.0) == pytest.approx(396.0)


def test_uncertainties_of_slope_and_intercept_add_in_quadrature() -> None:
    line = Calibration.model_validate(LINE | {"slope_sd": 0.01, "intercept_sd": 3.0})
    # 400 HU x 0.01 = 4, and 3: a 3-4-5 triangle
    assert line.uncertainty_mg_cm3(400.0) == pytest.approx(5.0)


def test_correlated_errors_add_their_product() -> None:
    known = {"slope_sd": 0.01, "intercept_sd": 3.0, "correlation": -0.5}
    line = Calibration.model_validate(LINE | known)
    assert line.uncertainty_mg_cm3(400.0) == pytest.approx(sqrt(16 + 9 - 12))


def test_without_stated_uncertainty_none_is_made_up() -> None:
    assert Calibration.model_validate(LINE).uncertainty_mg_cm3(400.0) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"slope": 0.0},
        {"slope": float("nan")},
        {"intercept": float("inf")},
        {"unit": "g/cm2"},
        {"method": "guessed"},
        {"slope_sd": 0.1},
        {"slope_sd": -0.1, "intercept_sd": 1.0},
        {"correlation": 1.5},
        {"t_score": -2.5},
    ],
)
def test_what_is_no_calibration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate(LINE | wrong)
