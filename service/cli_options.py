"""Arguments and options that ``femurct run`` and ``femurct submit`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.domain.window import MAX_STRIDE_Z

if TYPE_CHECKING:
    from service.domain.calibration import Calibration
    from service.domain.jobs import JobOptions

SeriesZip = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, readable=True, metavar="SERIES.zip", help="Zip of a CT series."
    ),
]
OutFolder = Annotated[
    Path,
    typer.Option("--out", help="Folder for the results; must be empty or not exist yet."),
]
Stride = Annotated[
    int | None,
    typer.Option(min=1, max=MAX_STRIDE_Z, help="Slices between windows of 64; 1: the paper's."),
]
SeriesUid = Annotated[
    str | None, typer.Option("--series", help="Series Instance UID, where the zip has several.")
]
ExpectedInstances = Annotated[
    int | None, typer.Option(min=1, help="Instances of the series; any other number is refused.")
]
ResampleGaps = Annotated[
    bool, typer.Option("--resample-gaps", help="Fill gaps between slices by interpolation.")
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        exists=True,
        dir_okay=False,
        readable=True,
        metavar="FILE.json",
        help="From HU to bone mineral density: slope, intercept, unit, method.",
    ),
]


def job_options(
    stride: int | None,
    series_uid: str | None,
    expected_instances: int | None,
    resample_gaps: bool,
    calibration: Path | None,
) -> JobOptions:
    """What was given on the command line, as a job carries it."""
    from service.domain.jobs import JobOptions

    return JobOptions(
        stride_z=stride,
        series_instance_uid=series_uid,
        expected_instances=expected_instances,
        resample_gaps=resample_gaps,
        calibration=_calibration(calibration) if calibration is not None else None,
    )


def _calibration(path: Path) -> Calibration:
    """The calibration in a JSON file; wrong usage if it is none."""
    from pydantic import ValidationError

    from service.domain.calibration import Calibration

    try:
        return Calibration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise typer.BadParameter(
            f"{path.name} is no calibration: {faults}", param_hint="--calibration"
        ) from None
