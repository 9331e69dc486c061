"""Jobs that nobody works on are set right."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service.domain.jobs import JobState
from service.domain.ports import WORKER_ALIVE
from service.worker.reconciler import (
    EXPIRED_KEPT_S,
    RESEND_GRACE_S,
    Reconciler,
    note_received,
)
from tests.builders.jobs import Service

RETENTION_S = 1000.0


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def reconcile(service: Service) -> None:
    Reconciler(service.worker(), interval_s=1.0, retention_s=RETENTION_S).reconcile()


def test_an_accepted_job_whose_message_never_left_is_sent(service: Service) -> None:
    job = service.accepted()
    service.clock.pass_seconds(RESEND_GRACE_S + 2)
    reconcile(service)
    assert service.queue.sent == [job.id]
    assert service.jobs.get(job.id).state is JobState.QUEUED


def test_a_queued_job_is_sent_again_when_the_queue_is_short_of_requests(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED)
    service.clock.pass_seconds(RESEND_GRACE_S + 1)
    reconcile(service)
    assert service.queue.sent == [job.id]


def test_jobs_whose_requests_wait_are_not_sent_again(service: Service) -> None:
    for number in (1, 2):
        service.queue.send(service.moved(service.accepted(number), JobState.QUEUED).id)
    service.queue.sent.clear()
    service.clock.pass_seconds(RESEND_GRACE_S + 1)
    reconcile(service)
    assert service.queue.sent == []


def test_a_job_whose_message_a_worker_has_received_is_not_missed(service: Service) -> None:
    """Its pool process still starts: the queue no longer counts the message."""
    for number in (1, 2):
        job = service.moved(service.accepted(number), JobState.QUEUED)
    service.queue.waiting = 1
    note_received(job.id, service.jobs)
    service.clock.pass_seconds(RESEND_GRACE_S + 1)
    reconcile(service)
    assert service.queue.sent == []


def test_a_received_message_is_missed_once_its_run_should_have_begun(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED)
    note_received(job.id, service.jobs)
    service.jobs.leases.clear()
    service.clock.pass_seconds(RESEND_GRACE_S + 1)
    reconcile(service)
    assert service.queue.sent == [job.id]


def test_a_worker_that_dies_right_after_it_began_a_run_holds_nothing_up(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)
    note_received(job.id, service.jobs)
    reconcile(service)
    assert service.queue.sent == [job.id]


def test_the_reconciler_says_nothing_of_pool_processes(service: Service) -> None:
    ended = threading.Event()
    ended.set()
    Reconciler(service.worker(), interval_s=1.0, retention_s=RETENTION_S).run_until(ended)
    assert not service.jobs.has_lease(WORKER_ALIVE)


def test_a_message_on_its_way_has_time_to_arrive(service: Service) -> None:
    service.moved(service.accepted(), JobState.QUEUED)
    service.clock.pass_seconds(RESEND_GRACE_S - 1)
    reconcile(service)
    assert service.queue.sent == []


def test_a_job_whose_worker_died_is_sent_at_once(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)
    reconcile(service)
    assert service.queue.sent == [job.id]
    assert service.jobs.get(job.id).state is JobState.QUEUED


def test_a_job_that_a_worker_holds_is_left_alone(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)
    service.jobs.take_lease(job.id, "worker", 60.0)
    reconcile(service)
    assert service.jobs.get(job.id) == job


def test_after_three_lost_workers_a_job_fails_with_the_reason(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED)
    for _ in range(3):
        service.moved(job, JobState.RUNNING)
        reconcile(service)
    ended = service.jobs.get(job.id)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (JobState.FAILED, "worker_lost")
    assert len(service.queue.sent) == 2
    assert service.objects.job(job.id).state is JobState.FAILED


def test_a_run_past_its_deadline_fails(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)
    service.clock.pass_seconds(service.worker().limits.deadline_s + 1)
    reconcile(service)
    error = service.jobs.get(job.id).error
    assert error is not None
    assert error.code == "deadline_exceeded"


def test_a_published_result_ends_a_run_whose_worker_could_not_say_so(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)
    service.objects.publish(job.id, lambda folder: (folder / "report.json").touch())
    reconcile(service)
    assert service.jobs.get(job.id).state is JobState.SUCCEEDED
    assert service.queue.sent == []
    assert not [name for name in service.files() if name.endswith("upload.zip")]


def test_an_emptied_store_is_filled_from_the_files(service: Service) -> None:
    waits, done = service.accepted(1), service.accepted(2)
    service.objects.publish(done.id, lambda folder: (folder / "report.json").touch())
    service.jobs.jobs.clear()
    reconcile(service)
    assert service.jobs.get(done.id).state is JobState.SUCCEEDED
    assert service.jobs.get(waits.id).state is JobState.ACCEPTED


def test_a_record_without_files_is_forgotten(service: Service) -> None:
    job = service.accepted()
    service.objects.delete(job.id)
    reconcile(service)
    assert service.jobs.jobs == {}


def test_old_results_expire_then_are_forgotten(service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
    service.clock.pass_seconds(RETENTION_S + 1)
    reconcile(service)
    assert service.jobs.get(job.id).state is JobState.EXPIRED
    assert service.files() == []
    service.clock.pass_seconds(EXPIRED_KEPT_S + 1)
    service.jobs.leases.clear()
    reconcile(service)
    assert service.jobs.jobs == {}
