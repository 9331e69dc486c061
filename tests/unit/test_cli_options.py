from pathlib import Path

import pytest
import typer

from service.cli_options import job_options
from service.domain.calibration import Calibration, CalibrationMethod

TEXT = '{"slope": 0.86, "intercept": -2.1, "unit": "mg/cm3 HA", "method": "asynchronous"}'


def from_file(path: Path) -> Calibration | None:
    options = job_options(None, None, None, resample_gaps=False, calibration=path)
    return options.calibration


def test_a_calibration_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(TEXT, "utf-8")
    found = from_file(path)
    assert found is not None
    assert (found.slope, found.intercept) == (0.86, -2.1)
    assert found.method is CalibrationMethod.ASYNCHRONOUS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("slope: 0.86", "Invalid JSON"),
        ('{"slope": 0.86}', "intercept"),
        (TEXT.replace("mg/cm3 HA", "g/cm2"), "unit"),
        (TEXT.replace("}", ', "t_score": -2.5}'), "t_score"),
    ],
)
def test_a_file_that_is_no_calibration_is_wrong_usage(
    tmp_path: Path, text: str, named: str
) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text, "utf-8")
    with pytest.raises(typer.BadParameter, match=named) as refused:
        from_file(path)
    assert "calibration.json is no calibration" in str(refused.value)


def test_without_a_file_there_is_none() -> None:
    options = job_options(8, "1.2", 3, resample_gaps=True, calibration=None)
    assert options.calibration is None
    assert (options.stride_z, options.series_instance_uid) == (8, "1.2")
    assert (options.expected_instances, options.resample_gaps) == (3, True)
