"""The demo's table, and its care for what is in the folder already."""

import io
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from service import demo
from service.demo import show_comparison
from service.domain.findings import Compartments, FemurGeometry, FemurSide, RegionalVolumes
from service.errors import ServiceError
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


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the folder: no series, no service, two files of results."""
    report = analysis(axial_geometry()).report
    written = truth(Compartments(integral=1.0, cortical=0.5, trabecular=0.5))

    def generate(series: Path, seed: int, progress: object) -> None:
        folder = series.parent / "series_truth"
        folder.mkdir()
        (folder / "truth.json").write_text(written.model_dump_json(by_alias=True))

    def fetch(client: object, series: Path, options: object, out: Path, console: object) -> object:
        for name in ("report.json", "left_regions.nii.gz"):
            (out / name).write_text("new")
        return report

    monkeypatch.setattr(demo, "generate_sample", generate)
    monkeypatch.setattr(demo, "_service", lambda data: nullcontext(SimpleNamespace(url="here")))
    monkeypatch.setattr(demo, "submit_and_fetch", fetch)


def run(out: Path) -> None:
    demo.run_demo(out, 0, Console(file=io.StringIO()))


@pytest.mark.parametrize("name", ["thesis.txt", "report.json"])
def test_a_folder_that_is_not_the_demos_is_left_alone(
    tmp_path: Path, stubbed: None, name: str
) -> None:
    """``run`` and ``submit`` leave a report.json, too."""
    (tmp_path / name).write_text("years of work")

    with pytest.raises(FileExistsError, match="no demo left"):
        run(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_earlier_demos_files_are_replaced(tmp_path: Path, stubbed: None) -> None:
    out = tmp_path / "demo-output"
    run(out)
    (out / "report.json").write_text("old")

    run(out)

    assert {path.name: path.read_text() for path in out.iterdir() if path.suffix} == {
        "report.json": "new",
        "left_regions.nii.gz": "new",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["demo-output"]


def test_a_file_laid_beside_the_demos_stops_the_next_one(tmp_path: Path, stubbed: None) -> None:
    run(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(FileExistsError):
        run(tmp_path)

    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_demo_that_fails_keeps_the_earlier_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stubbed: None
) -> None:
    run(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())

    def fail(*_: object) -> None:
        raise ServiceError("away")

    monkeypatch.setattr(demo, "submit_and_fetch", fail)
    with pytest.raises(ServiceError):
        run(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == before
