"""One run of one job, whatever happens to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.jobs import JobOptions, JobState, Progress, Stage
from service.domain.ports import ProgressListener
from service.errors import SeriesError
from service.worker.listener import STOPPING
from service.worker.tasks import run_job
from tests.builders.jobs import Analysis, Service, job_id


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture(autouse=True)
def _not_stopping() -> Iterator[None]:
    STOPPING.clear()
    yield
    STOPPING.clear()


class During(Analysis):
    """An analysis in whose middle something happens."""

    def __init__(self, happening: object) -> None:
        super().__init__()
        self.happening = happening

    def __call__(
        self, archive: Path, out_dir: Path, options: JobOptions, listener: ProgressListener
    ) -> None:
        listener(Stage.READ, 0, 2)
        assert callable(self.happening)
        self.happening()
        super().__call__(archive, out_dir, options, listener)


def test_a_job_that_waits_is_run_and_published(service: Service) -> None:
    job = service.accepted()
    run_job(job.id, service.worker())
    ended = service.jobs.get(job.id)
    assert (ended.state, ended.tries) == (JobState.SUCCEEDED, 1)
    assert ended.progress == Progress(done=ended.progress.total, total=ended.progress.total)
    assert service.objects.artifact_names(job.id) == ("masks_rle.json", "report.json")
    assert not service.jobs.has_lease(job.id)


def test_the_upload_is_dropped_when_the_job_ends(service: Service) -> None:
    job = service.accepted()
    run_job(job.id, service.worker())
    assert not [name for name in service.files() if name.endswith("upload.zip")]


def test_a_known_error_fails_the_job_with_its_code(service: Service) -> None:
    service.analysis.error = SeriesError("no CT image was found", code="no_ct_series")
    job = service.accepted()
    run_job(job.id, service.worker())
    ended = service.jobs.get(job.id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == ("no_ct_series", "no CT image was found")
    assert service.objects.job(job.id).state is JobState.FAILED
    assert not [name for name in service.files() if "report" in name]


def test_an_unknown_error_tells_client_and_log_nothing_of_the_series(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.analysis.error = RuntimeError("DOE^JANE")
    job = service.accepted()
    with caplog.at_level(logging.INFO):
        run_job(job.id, service.worker())
    ended = service.jobs.get(job.id)
    assert ended.error is not None
    assert ended.error.code == "internal_error"
    assert "DOE" not in ended.model_dump_json() + caplog.text
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [getattr(record, "job_id", None) for record in errors] == [job.id]
    assert "RuntimeError" in errors[0].getMessage()


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.RUNNING])
def test_a_job_that_does_not_wait_is_left_alone(service: Service, state: JobState) -> None:
    job = service.accepted()
    states = (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
    moved = service.moved(job, *states[: states.index(state) + 1])
    run_job(job.id, service.worker())
    assert service.analysis.runs == []
    assert service.jobs.get(job.id) == moved


def test_a_job_that_another_run_holds_is_left_alone(service: Service) -> None:
    job = service.accepted()
    service.jobs.take_lease(job.id, "another", 60.0)
    run_job(job.id, service.worker())
    assert service.jobs.get(job.id) == job
    assert service.jobs.leases[job.id][0] == "another"


def test_an_unknown_job_is_nothing_to_run(service: Service) -> None:
    run_job(job_id(9), service.worker())
    assert service.analysis.runs == []


def test_a_job_the_store_forgot_is_run_from_its_files(service: Service) -> None:
    job = service.accepted()
    service.jobs.delete(job.id)
    run_job(job.id, service.worker())
    assert service.jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_cancelled_job_stops_and_publishes_nothing(service: Service) -> None:
    job = service.accepted()
    service.analysis = During(lambda: service.moved(job, JobState.CANCELLED))
    run_job(job.id, service.worker())
    assert service.jobs.get(job.id).state is JobState.CANCELLED
    assert not [name for name in service.files() if "report" in name]


def test_a_deleted_job_stops_and_leaves_nothing(service: Service) -> None:
    job = service.accepted()

    def delete() -> None:
        service.objects.delete(job.id)
        service.jobs.delete(job.id)

    service.analysis = During(delete)
    run_job(job.id, service.worker())
    assert service.files() == []


def test_a_worker_that_stops_gives_the_job_back(service: Service) -> None:
    job = service.accepted()
    service.analysis = During(STOPPING.set)
    run_job(job.id, service.worker())
    given_back = service.jobs.get(job.id)
    assert (given_back.state, given_back.tries) == (JobState.QUEUED, 0)
    assert service.queue.sent == [job.id]
    assert service.objects.upload_path(job.id).exists()


def test_a_run_that_lost_its_job_changes_nothing(service: Service) -> None:
    job = service.accepted()

    def another_run_begins() -> None:
        service.clock.pass_seconds(50)
        service.moved(job, JobState.QUEUED, JobState.RUNNING)

    service.analysis = During(another_run_begins)
    run_job(job.id, service.worker())
    assert (service.jobs.get(job.id).state, service.jobs.get(job.id).tries) == ("running", 2)
    assert not [name for name in service.files() if "report" in name]


def test_a_run_goes_on_while_the_store_is_away(service: Service) -> None:
    job = service.accepted()

    def away() -> None:
        service.jobs.is_away = True

    class Back(During):
        def __call__(
            self, archive: Path, out_dir: Path, options: JobOptions, listener: ProgressListener
        ) -> None:
            super().__call__(archive, out_dir, options, listener)
            service.jobs.is_away = False

    service.analysis = Back(away)
    run_job(job.id, service.worker())
    assert service.jobs.get(job.id).state is JobState.SUCCEEDED
