"""Means, errors and counts of two made-up femurs."""

import csv
from pathlib import Path

import numpy as np
import pytest

from model_export.evaluation import FemurScore, SurfaceScore
from model_export.result_tables import (
    PAPER_TABLE_1,
    PAPER_TABLE_2,
    TABLE_1_HEAD,
    Table,
    cases_table,
    relative_errors_percent,
    seconds_sentence,
    table_1,
    table_2,
)
from model_export.volumes import TARGETS

NAN = float("nan")
INF = float("inf")


def femur(
    name: str, surface: SurfaceScore | None, head: tuple[float, float], seconds: float = 1.0
) -> FemurScore:
    """Only the head has volumes: of the reference and found."""
    rest = (NAN,) * (len(TARGETS) - 1)
    return FemurScore(name, "phantom", surface, None, (head[0], *rest), (head[1], *rest), seconds)


TWO = (
    femur("a", SurfaceScore(0.9, 0.2, 0.99, 0.8, 1.0, 0.7), (10.0, 11.0), seconds=2.0),
    femur("b", SurfaceScore(0.7, 0.4, 0.97, 0.6, 3.0, 0.5), (20.0, 18.0), seconds=4.0),
)
MISSED = femur("c", SurfaceScore(0.0, INF, 1.0, 0.0, INF, 0.0), (30.0, NAN))


def test_table_1_is_mean_and_standard_deviation_over_femurs() -> None:
    row = table_1(TWO).rows[0]
    # of two values the sample SD is their difference by the square root of 2
    assert row[:4] == ("Periosteal", "0.8000±0.1414", "0.3000±0.1414", "0.9800±0.0141")
    assert row[4:7] == ("0.7000±0.1414", "2.00±1.41", "0.6000±0.1414")
    assert row[7:] == ("0.7000", "2 of 2", "0")


def test_a_surface_not_found_lowers_dice_but_has_no_distance() -> None:
    row = table_1((*TWO, MISSED)).rows[0]
    # (0.9 + 0.7 + 0) / 3
    assert row[1].startswith("0.5333")
    assert row[2].startswith("0.3000")
    assert row[7:] == ("0.0000", "3 of 3", "1")


def test_a_surface_that_nobody_may_score_has_an_empty_row() -> None:
    rows = table_1(TWO).rows
    assert rows[3] == ("Endosteal", *("-",) * 7, "0 of 2", "0")


def test_the_papers_rows_stand_below_ours() -> None:
    rows = table_1(TWO).rows
    assert [row[:5] for row in (*rows[1:3], *rows[4:])] == list(PAPER_TABLE_1)


def test_table_2_has_the_errors_of_equations_6_to_8() -> None:
    row = table_2(TWO).rows[0]
    # errors 1 and -2: MAE 1.5, RMSE sqrt(2.5); RE 1 / 10 and 2 / 20
    assert row[:6] == (
        "Femur head",
        "15.00±7.07",
        "1.5000",
        "1.5811",
        "(10.00, 10.00, 10.00)",
        "2 of 2",
    )
    assert row[6:] == PAPER_TABLE_2[0]


def test_a_volume_not_measured_counts_among_those_that_should_be() -> None:
    assert table_2((*TWO, MISSED)).rows[0][5] == "2 of 3"
    assert table_2((MISSED,)).rows[0][2:6] == ("-", "-", "-", "0 of 1")
    assert table_2(TWO).rows[1][1:6] == ("-", "-", "-", "-", "0 of 0")


def test_the_slab_stands_beside_the_papers_neck() -> None:
    rows = {row[0]: row[6:] for row in table_2(TWO).rows}
    assert rows["Neck slab"] == PAPER_TABLE_2[1]
    assert rows["Cortical bone in neck slab"] == PAPER_TABLE_2[3]
    assert rows["Entire femur in view"] == ("-",) * 4


def test_relative_errors_are_relative_to_the_reference() -> None:
    errors = relative_errors_percent(np.array([10.0, 10.0]), np.array([8.0, 12.5]))
    np.testing.assert_allclose(errors, [20.0, 25.0])


def test_seconds_are_mean_smallest_and_largest() -> None:
    assert "mean 3.00, min 2.00, max 4.00" in seconds_sentence(TWO, "cpu")


def test_a_table_is_written_as_markdown_and_csv(tmp_path: Path) -> None:
    table = Table(("a", "b, c"), (("1", "2"),))
    assert table.markdown() == "| a | b, c |\n| --- | --- |\n| 1 | 2 |"
    table.write_csv(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "b, c"], ["1", "2"]]


def test_a_row_must_fit_its_head() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        Table(("a", "b"), (("1",),))


def test_every_case_has_a_row_with_every_figure() -> None:
    table = cases_table((*TWO, MISSED))
    first = dict(zip(table.head, table.rows[0], strict=True))
    assert first["periosteal_dice"] == "0.9"
    assert first["endosteal_dice"] == ""
    assert first["Femur head: true cm3"] == "10"
    assert dict(zip(table.head, table.rows[2], strict=True))["periosteal_asd_mm"] == "inf"
    assert len(TABLE_1_HEAD) == 10
