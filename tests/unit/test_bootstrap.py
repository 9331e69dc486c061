"""What the composition root refuses, and what a log record looks like."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import config
from pydicom.valuerep import validate_value

from service import bootstrap
from service.domain.jobs import JobOptions
from service.errors import InputError, ServiceError
from service.settings import Settings
from tests.builders.zip_archive import zip_bytes


def settings(folder: Path, **changes: object) -> Settings:
    given = {"data_dir": folder, "weights_dir": folder, "redis_url": "redis://nowhere", **changes}
    return Settings.model_validate(given)


@pytest.fixture
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("pydicom").propagate = True
    logging.captureWarnings(False)


def test_an_exposed_api_without_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError) as caught:
        bootstrap.build_api(settings(tmp_path, host="0.0.0.0"))
    assert caught.value.code == "exposed"


@pytest.mark.parametrize("change", [{"api_keys": "key"}, {"allow_anonymous": True}])
def test_an_exposed_api_starts_when_told_how_it_is_guarded(
    tmp_path: Path, change: dict[str, object]
) -> None:
    assert bootstrap.build_api(settings(tmp_path, host="0.0.0.0", **change))


def test_without_a_broker_nothing_is_built(tmp_path: Path) -> None:
    with pytest.raises(ServiceError) as caught:
        bootstrap.build_api(settings(tmp_path, redis_url=None))
    assert caught.value.code == "no_broker"


def test_a_named_broker_is_used_as_it_is(tmp_path: Path) -> None:
    given = settings(tmp_path)
    with bootstrap.with_broker(given) as found:
        assert found is given


@pytest.mark.usefixtures("_own_logging")
def test_each_record_names_its_job(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.configure_logging("INFO")
    logging.getLogger("service").info("with", extra={"job_id": "abc"})
    logging.getLogger("service").info("without")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO service job=abc with")
    assert second.endswith("INFO service job=- without")


@pytest.mark.usefixtures("_own_logging")
def test_no_value_that_pydicom_complains_of_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.configure_logging("INFO")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        validate_value("CS", "Doe^Jane", config.WARN)
    assert "Jane" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"not a zip", "not_a_zip"),
        (zip_bytes({}), "empty_archive"),
        (zip_bytes({"a": b"text"}), "no_dicom"),
    ],
)
def test_what_cannot_be_read_is_refused_before_the_networks_are_loaded(
    tmp_path: Path, content: bytes, code: str
) -> None:
    archive = tmp_path / "upload.zip"
    archive.write_bytes(content)
    analyse = bootstrap.build_worker(settings(tmp_path)).analyse
    with pytest.raises(InputError) as caught:
        analyse(archive, tmp_path, JobOptions(), lambda stage, done, total: None)
    assert caught.value.code == code
