"""``femurct table``: complete or not at all, and no other file passes for a report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from service.cohort import write_cohort
from service.domain.findings import FemurSide
from service.errors import FemurctError
from tests.builders.analyses import analysis, axial_geometry

BOTH = analysis(axial_geometry(), *FemurSide).report


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "P001"
    folder.mkdir()
    (folder / "report.json").write_text(BOTH.model_dump_json(by_alias=True), "utf-8")
    return folder


def test_folders_and_files_are_rows_under_the_name_they_were_given(
    result: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cohort.csv"
    assert write_cohort([result, result / "report.json"], out) == 4
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [str(result)] * 2 + [str(result / "report.json")] * 2
    assert [row["result"] for row in rows] == names
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["P001", "cohort.csv"]


def test_an_older_table_is_replaced(result: Path, tmp_path: Path) -> None:
    out = tmp_path / "cohort.csv"
    out.write_text("old")
    write_cohort([result], out)
    assert "old" not in out.read_text("utf-8-sig").splitlines()


def test_keys_of_a_newer_version_are_passed_over(result: Path, tmp_path: Path) -> None:
    report = json.loads((result / "report.json").read_text("utf-8"))
    report["femurs"][0]["geometry"]["new_key_mm"] = 1.0
    (result / "report.json").write_text(json.dumps(report), "utf-8")
    assert write_cohort([result], tmp_path / "cohort.csv") == 2


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"schema": "femurct.report/2"}', None])
def test_what_is_no_report_is_named_and_nothing_is_written(
    result: Path, tmp_path: Path, text: str | None
) -> None:
    (result / "report.json").unlink()
    if text is not None:
        (result / "report.json").write_text(text, "utf-8")
    out = tmp_path / "cohort.csv"
    out.write_text("old")
    with pytest.raises(FemurctError, match="P001") as caught:
        write_cohort([result], out)
    assert caught.value.code == "not_a_report"
    assert out.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
