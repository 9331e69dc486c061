"""Reports of many series as one table: a row per femur, a column per number (no numpy).

A column is named by the number's place in ``report.json``, so its unit stands in its name, as
``volumes_cm3.neck.cortical``. docs/cohorts.md describes the table.
"""

from __future__ import annotations

import csv
import types
import typing
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeGuard

from pydantic import BaseModel

from service.domain.calibration import Calibration
from service.domain.findings import AnalysisReport, FemurReport, QualityFlag, Vector

RESULT_COLUMN = "result"

SERIES_COLUMNS = (
    "series.series_instance_uid",
    "series.slice_spacing_mm",
    "series.row_spacing_mm",
    "series.column_spacing_mm",
    "series.flags",
    "provenance.femurct_version",
    "provenance.regions_definition",
    "provenance.input_sha256",
    "provenance.periosteal_sha256",
    "provenance.endosteal_sha256",
    "provenance.periosteal_provider",
    "provenance.endosteal_provider",
    "provenance.stride_z",
    *(f"provenance.options.calibration.{name}" for name in Calibration.model_fields),
)
"""The same for both femurs of a series: what must be alike within a cohort, or be accounted for."""

FLAGS = tuple[QualityFlag, ...]

AXES = ("x", "y", "z")


def columns() -> tuple[str, ...]:
    """Names of all columns, in order."""
    return (RESULT_COLUMN, *SERIES_COLUMNS, *_femur_columns(FemurReport, ""))


def write_table(results: Iterable[tuple[str, AnalysisReport]], file: TextIO) -> int:
    """Write CSV (RFC 4180) with a header; numbers with all digits, null as an empty cell.

    Args:
        results: name and report of each series; none leaves the header alone.
        file: opened for text with ``newline=""``.

    Returns:
        The number of femurs written.
    """
    writer = csv.writer(file)
    writer.writerow(columns())
    count = 0
    for name, report in results:
        of_series = _series_cells(report)
        for femur in report.femurs:
            writer.writerow((name, *of_series, *_femur_cells(FemurReport, femur)))
            count += 1
    return count


def _series_cells(report: AnalysisReport) -> tuple[str, ...]:
    made, options = report.provenance, report.provenance.options
    networks = {model.role: model for model in made.models}
    used = [networks.get(role) for role in ("periosteal", "endosteal")]
    calibration = options.calibration if options is not None else None
    values = (
        report.series.series_instance_uid,
        *report.series.spacing_mm,
        report.flags,
        made.femurct_version,
        made.regions_definition,
        made.input_sha256,
        *(network and network.sha256 for network in used),
        *(network and network.provider for network in used),
        made.stride_z,
        *(getattr(calibration, name, None) for name in Calibration.model_fields),
    )
    return tuple(_cell(value) for value in values)


def _femur_columns(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Names of a model's numbers, those of the models in it included."""
    for name, kind in _fields(model):
        if _is_model(kind):
            yield from _femur_columns(kind, f"{prefix}{name}.")
        elif kind == Vector:
            yield from (f"{prefix}{name}.{axis}" for axis in AXES)
        else:
            yield f"{prefix}{name}"


def _femur_cells(model: type[BaseModel], value: BaseModel | None) -> Iterator[str]:
    """The cells under ``_femur_columns``; all empty for null."""
    for name, kind in _fields(model):
        part = getattr(value, name, None)
        if _is_model(kind):
            yield from _femur_cells(kind, part)
        elif kind == Vector:
            yield from (_cell(number) for number in part or (None,) * len(AXES))
        else:
            yield _cell(part)


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, object]]:
    """Name and type of each field that has a column, ``X | None`` as X.

    A list of anything but flags, such as the profile along the neck, has none.
    """
    for name, field in model.model_fields.items():
        kind: object = field.annotation
        if isinstance(kind, types.UnionType):
            kind = next(part for part in typing.get_args(kind) if part is not type(None))
        if typing.get_origin(kind) in (tuple, dict) and kind not in (Vector, FLAGS):
            continue
        yield name, kind


def _cell(value: object) -> str:
    """As JSON writes it; flags by their codes, null empty."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(flag.code.value for flag in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


if __name__ == "__main__":
    print(*columns(), sep="\n")
