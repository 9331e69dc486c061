"""The right to run one job, kept by a side thread while the run gets on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from service.domain.ports import JobStore
from service.errors import ServiceError
from service.worker.services import RunLimits

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 5
"""So that a few renewals may fail, or wait for the interpreter, before the lease lapses."""


class LeaseKeeper:
    """Renews a lease until the block ends, the run stalls, its deadline passes or it is lost.

    Args:
        jobs: where the lease is held.
        job_id: the job.
        token: the holder's.
        limits: of the run.
        on_stall: called in the side thread when the run has stalled: what hangs cannot be told
            to stop.
    """

    def __init__(
        self,
        jobs: JobStore,
        job_id: str,
        token: str,
        limits: RunLimits,
        on_stall: Callable[[], None],
    ) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._token = token
        self._limits = limits
        self._on_stall = on_stall
        self._deadline = time.monotonic() + limits.deadline_s
        self._moved_at = time.monotonic()
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def moved(self) -> None:
        """The run has got on."""
        self._moved_at = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether another run may have begun."""
        return self._lost.is_set()

    @property
    def is_overdue(self) -> bool:
        """Whether the run has lasted longer than it may."""
        return time.monotonic() > self._deadline

    def _keep(self) -> None:
        while not self._ended.wait(self._limits.lease_s / RENEWALS_PER_LEASE):
            if self.is_overdue:
                logger.error("run is past its deadline", extra={"job_id": self._job_id})
                self._lost.set()
                return
            if time.monotonic() - self._moved_at > self._limits.stall_s:
                logger.error("run makes no progress", extra={"job_id": self._job_id})
                self._lost.set()
                self._on_stall()
                return
            try:
                kept = self._jobs.renew_lease(self._job_id, self._token, self._limits.lease_s)
            except ServiceError:
                continue  # the store is away; the next round asks again
            if not kept:
                self._lost.set()
                return
