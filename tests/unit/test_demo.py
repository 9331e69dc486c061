"""The demo's table, and its care for what is in the folder already."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from service.demo import run_demo, show_comparison
from service.domain.findings import Compartments, FemurGeometry, FemurSide, RegionalVolumes
from service.sample.truth import SampleFemurTruth, SampleTruth
from tests.builders.analyses import analysis, axial_geometry


def truth(part: Compartments) -> SampleTruth:
    volumes = RegionalVolumes(
        head=part,
        neck=part,
        trochanter=part,
        intertrochanter=part,
        combination=part,
        total=part,
    )
    femurs = tuple(
        SampleFemurTruth(side=side, volumes_cm3=volumes, geometry=FemurGeometry())
        for side in FemurSide
    )
    return SampleTruth(schema="femurct.sample-truth/1", seed=0, femurs=femurs)


def test_each_region_stands_beside_its_truth_with_the_difference() -> None:
    """Measured: a left femur, each region 1 cm3, 0.25 of it cortical; the right one is missing."""
    report = analysis(axial_geometry(), FemurSide.LEFT).report
    shown = io.StringIO()

    show_comparison(
        Console(file=shown, width=120),
        report,
        truth(Compartments(integral=0.8, cortical=0.5, trabecular=0.3)),
    )

    rows = [line for line in shown.getvalue().splitlines() if "head" in line]
    assert "left" in rows[0]
    assert "1.00 / 0.80 (+25.0%)" in rows[0]
    assert "0.25 / 0.50 (-50.0%)" in rows[0]
    assert "0.75 / 0.30 (+150.0%)" in rows[0]
    assert "right" in rows[1]
    assert "- / 0.80" in rows[1]
    assert "%" not in rows[1]


def test_an_unknown_compartment_is_a_dash_without_a_difference() -> None:
    report = analysis(axial_geometry()).report
    volumes = report.femurs[0].volumes_cm3.model_copy(
        update={"head": Compartments(integral=1.0, cortical=None, trabecular=None)}
    )
    femur = report.femurs[0].model_copy(update={"volumes_cm3": volumes})
    shown = io.StringIO()

    show_comparison(
        Console(file=shown, width=120),
        report.model_copy(update={"femurs": (femur,)}),
        truth(Compartments(integral=0.8, cortical=0.5, trabecular=0.3)),
    )

    row = next(line for line in shown.getvalue().splitlines() if "head" in line)
    assert "1.00 / 0.80 (+25.0%)" in row
    assert "- / 0.50 " in row
    assert row.count("%") == 1


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(FileExistsError, match="hold"):
        run_demo(tmp_path, 0, Console(file=io.StringIO()))

    assert (tmp_path / "thesis.txt").exists()
