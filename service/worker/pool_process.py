"""What a pool process does before its first run and beside its runs."""

from __future__ import annotations

import logging
import os
import signal
import threading

from service.domain.ports import WORKER_ALIVE, JobStore
from service.errors import FemurctError, ServiceError
from service.worker.services import WorkerServices

logger = logging.getLogger(__name__)

ALIVE_S = 30.0
"""A pool process that has not renewed it for this long is dead."""

RENEWAL_INTERVAL_S = 5.0
"""So that a few renewals may fail, or wait for the interpreter, before the lease lapses."""


def begin(services: WorkerServices) -> None:
    """Load what runs need, then say in a side thread, as long as the process lives, that it does.

    Without its networks a process says nothing: it is not ready, and the log has the reason.
    """
    try:
        services.prepare()
    except FemurctError as error:
        logger.error("not ready: %s: %s", error.code, error.detail)
        return
    threading.Thread(
        target=keep_alive, args=(services.jobs, threading.Event()), name="alive", daemon=True
    ).start()


def end() -> None:
    """End this process at once; Celery starts another, and the reconciler sends the job again."""
    os.kill(os.getpid(), signal.SIGKILL)


def keep_alive(jobs: JobStore, ended: threading.Event) -> None:
    """Renew WORKER_ALIVE until the event is set."""
    while True:
        try:
            jobs.renew_lease(WORKER_ALIVE, WORKER_ALIVE, ALIVE_S)
        except ServiceError as error:
            logger.warning("alive: %s", error.code)
        if ended.wait(RENEWAL_INTERVAL_S):
            return
