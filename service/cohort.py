"""``femurct table``: the reports of many results folders as one table."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.errors import FemurctError

if TYPE_CHECKING:
    from service.domain.findings import AnalysisReport

REPORT_NAME = "report.json"


def table(
    results: Annotated[
        list[Path],
        typer.Argument(
            exists=True, metavar="RESULT", help="Results folders, or report.json files."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="CSV; replaced if it exists.")],
) -> None:
    """Put the reports of many results into one CSV, a row per femur."""
    print(f"{out}: {write_cohort(results, out)} femurs of {len(results)} results")


def write_cohort(results: list[Path], out: Path) -> int:
    """Write the table; complete, or not at all.

    Args:
        results: folders that hold a ``report.json``, or such files; a row's ``result`` is the path
            as it is given here.
        out: the CSV; its folder must exist.

    Returns:
        The number of femurs.

    Raises:
        FemurctError: ``not_a_report``, naming the result that is none.
        OSError: if a file cannot be read or written.
    """
    from service.artifacts.cohort_table import write_table

    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        # utf-8-sig: spreadsheets take a CSV without the mark for the machine's old code page
        with partial.open("x", encoding="utf-8-sig", newline="") as file:
            count = write_table(((str(path), _read(path)) for path in results), file)
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _read(result: Path) -> AnalysisReport:
    from pydantic import ValidationError

    from service.domain.findings import AnalysisReport

    path = result / REPORT_NAME if result.is_dir() else result
    try:
        # keys are added to the report: a newer version may know more of them
        return AnalysisReport.model_validate_json(path.read_bytes(), extra="ignore")
    except (ValidationError, FileNotFoundError):
        raise FemurctError(
            f"{path} is no report of femurct; give the folders that run or submit left, "
            "and leave out those of other things",
            code="not_a_report",
        ) from None
