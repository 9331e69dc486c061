"""Table 2 from known errors, by hand."""

from __future__ import annotations

import pytest

from service.domain.findings import Compartments, FemurSide
from tests.benchmarks.agreement import Agreement
from tests.benchmarks.phantom_accuracy import (
    NAN,
    FemurScore,
    per_femur_table,
    surfaces_table,
    table_2,
    table_2_volumes,
)
from tests.builders.analyses import volumes


def score(found: tuple[float, ...], side: FemurSide = FemurSide.LEFT) -> FemurScore:
    good = Agreement(0.96, 0.4)
    return FemurScore(0, side, good, good, found, (40.0, 10.0, 80.0, 2.0, 20.0), ())


def test_errors_are_relative_to_the_truth_and_absolute() -> None:
    errors = score((44.0, 9.0, 80.0, 2.5, 19.0)).relative_errors_percent
    assert errors == pytest.approx((10.0, 10.0, 0.0, 25.0, 5.0))


def test_table_2_shows_mean_least_and_greatest_error() -> None:
    scores = [score((44.0, 10.0, 80.0, 2.0, 20.0)), score((40.0, 10.0, 80.0, 2.0, 20.0))]
    head = table_2(scores).splitlines()[2]
    assert head == "| Femur head | 40.00±0.00 | 2.000 | 2.828 | (5.00, 0.00, 10.00) | 2 of 2 |"


def test_a_volume_not_measured_is_left_out_and_counted() -> None:
    scores = [score((NAN, 10.0, 80.0, 2.0, 20.0)), score((40.0, 10.0, 80.0, 2.0, 20.0))]
    assert table_2(scores).splitlines()[2].endswith("| 1 of 2 |")
    assert "nan" in per_femur_table(scores)


def test_a_femur_not_found_counts_as_dice_zero() -> None:
    lost = FemurScore(0, FemurSide.LEFT, None, None, (NAN,) * 5, (1.0,) * 5, ("not found",))
    row = surfaces_table([lost, score((40.0, 10.0, 80.0, 2.0, 20.0))]).splitlines()[2]
    assert row == "| periosteal | 0.4800 | 0.0000 | 0.400 | 0.400 | 1 of 2 |"


def test_volumes_stand_in_the_order_of_the_papers_table() -> None:
    assert table_2_volumes(volumes()) == (1.0, 1.0, 1.0, 0.25, 0.25)
    found = table_2_volumes(volumes(complete=False))
    assert found[0] == 1.0
    assert found[2] != found[2]


def test_an_unknown_cortex_is_not_measured() -> None:
    integral_only = Compartments(integral=1.0, cortical=None, trabecular=None)
    found = table_2_volumes(volumes().model_copy(update={"neck": integral_only}))
    assert found == pytest.approx((1.0, 1.0, 1.0, NAN, 0.25), nan_ok=True)
