"""The Celery worker: one spawned pool process that runs one job at a time."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import billiard
from celery import Celery, signals
from celery.worker.request import Request

from service.adapters.task_queue import broker_url, configure_broker
from service.errors import ServiceError
from service.worker.reconciler import RECEIVED_S, Reconciler, note_received
from service.worker.services import WorkerRecipe, WorkerServices

HARD_LIMIT_MARGIN_S = 60.0
"""A run that ignores its deadline is killed this much later."""

POOL_START_TIMEOUT_S = RECEIVED_S
"""A spawned pool process loads modules and networks first, slowly on a busy machine."""


NICENESS = 5
"""Below the API on one machine: it must answer while the networks use every core."""


def create_celery_app(recipe: WorkerRecipe) -> Celery:
    """The worker's Celery app.

    Raises:
        ServiceError: ``no_broker`` when the settings name no Redis.
    """
    settings = recipe.settings
    if settings.redis_url is None:
        raise ServiceError(
            "a worker needs a broker; set REDIS_URL, or run `femurct up`", code="no_broker"
        )
    app = Celery("femurct", broker=broker_url(settings.redis_url), include=["service.worker.tasks"])
    configure_broker(app, job_deadline_s=settings.job_deadline_s)
    app.conf.update(
        femurct_recipe=recipe,
        worker_pool="prefork",
        worker_pool_start_method="spawn",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=POOL_START_TIMEOUT_S,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_time_limit=settings.job_deadline_s + HARD_LIMIT_MARGIN_S,
        task_track_started=False,
    )
    return app


def run_worker(recipe: WorkerRecipe) -> int:
    """Run a worker until it is told to stop (SIGTERM, SIGINT); needs the main thread.

    Returns:
        The exit code.
    """
    app = create_celery_app(recipe)
    settings = recipe.settings
    services = recipe.build(settings)
    reconciler = Reconciler(
        services,
        interval_s=settings.reconcile_interval_s,
        retention_s=settings.retention_s,
    )
    ended = threading.Event()
    thread = threading.Thread(
        target=reconciler.run_until, args=(ended,), name="reconciler", daemon=True
    )
    signals.worker_shutting_down.connect(_stop_pool)
    signals.task_received.connect(_noting(services), weak=False)
    thread.start()
    os.nice(NICENESS)
    try:
        worker = app.Worker(
            hostname=f"femurct-{os.getpid()}@{socket.gethostname()}",
            loglevel=settings.log_level,
            quiet=True,
            without_gossip=True,
            without_mingle=True,
        )
        worker.start()
        return int(worker.exitcode or 0)
    finally:
        ended.set()
        thread.join()


def _noting(services: WorkerServices) -> Callable[..., None]:
    """A receiver of Celery's ``task_received``, sent when a message has left the queue."""

    def note(request: Request, **_: Any) -> None:
        with suppress(ServiceError):  # the message is sent twice at worst
            note_received(request.args[0], services.jobs)

    return note


def _stop_pool(**_: Any) -> None:
    """Tell the pool process to give its job back, so that the warm shutdown takes seconds."""
    from service.worker.tasks import STOP_SIGNAL

    for process in billiard.active_children():
        os.kill(process.pid, STOP_SIGNAL)
