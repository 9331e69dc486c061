"""How the worker's main process is wired."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from celery import signals

from service.domain.jobs import JobState
from service.worker import celery_app
from service.worker.reconciler import RESEND_GRACE_S, Reconciler
from tests.builders.jobs import Service


def test_a_message_that_celery_has_received_is_not_sent_again(tmp_path: Path) -> None:
    service = Service(tmp_path)
    job = service.moved(service.accepted(), JobState.QUEUED)
    note = celery_app._noting(service.worker())
    signals.task_received.connect(note)
    signals.task_received.send(sender=None, request=SimpleNamespace(args=(job.id,)))
    signals.task_received.disconnect(note)
    service.clock.pass_seconds(RESEND_GRACE_S + 1)
    Reconciler(service.worker(), interval_s=1.0, retention_s=1.0).reconcile()
    assert service.queue.sent == []


def test_a_store_that_is_away_does_not_stop_the_worker(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.jobs.is_away = True
    celery_app._noting(service.worker())(SimpleNamespace(args=("x",)))
