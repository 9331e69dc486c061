"""Find jobs that nobody works on, and set them right.

Messages get lost and workers die, so the queue alone is never the truth (DESIGN, section 4).
"""

from __future__ import annotations

import logging
import secrets
import threading
from datetime import timedelta

from service.domain.job_recovery import find_job
from service.domain.jobs import Job, JobFailure, JobState
from service.domain.ports import JobStore
from service.errors import FemurctError, JobError
from service.worker.services import WorkerServices

logger = logging.getLogger(__name__)

ROLE = "reconciler"
"""The lease that makes one worker of many the reconciler."""

ROLE_S = 30.0
"""A reconciler that has not renewed its role for this long is replaced by another worker's."""

RECEIVED_S = 300.0
"""A message may lie in a worker for this long while its pool process starts."""

RECOVERED = "recovered"
"""The lease that says the job store was compared with the files; an emptied store has lost it."""

RECOVERY_INTERVAL_S = 60.0
"""Between two comparisons of the job store with the files."""

RESEND_GRACE_S = 10.0
"""A job that waits is not looked at before; its message may still be on its way."""

EXPIRED_KEPT_S = 30 * 86400.0
"""How long an expired job still answers 410 instead of 404."""

HALF_WRITTEN_MARGIN_S = 600.0
"""Files that nobody has touched for a deadline and this long belong to a dead process."""

WORKER_LOST = JobFailure(
    code="worker_lost",
    detail="every run of this job ended with its worker, which may have run out of memory or come "
    "to a standstill; give the worker more memory, or send a series with fewer slices",
)

DEADLINE_EXCEEDED = JobFailure(
    code="deadline_exceeded",
    detail="the run took longer than the service allows; send a series with fewer slices, "
    "or raise FEMURCT_JOB_DEADLINE_S",
)


def note_received(job_id: str, jobs: JobStore) -> None:
    """Keep a message that has left the queue, and whose run has not begun, from being missed.

    Raises:
        ServiceError: ``job_store_unavailable``.
    """
    jobs.renew_lease(_received(job_id), "worker", RECEIVED_S)


def _received(job_id: str) -> str:
    return f"received:{job_id}"


class Reconciler:
    """Looks at all jobs, again and again, in a thread of the worker's main process.

    Args:
        services: the worker's.
        interval_s: between two looks.
        retention_s: how long a finished job's files are kept.
    """

    def __init__(self, services: WorkerServices, *, interval_s: float, retention_s: float) -> None:
        self._jobs = services.jobs
        self._objects = services.objects
        self._queue = services.queue
        self._limits = services.limits
        self._clock = services.clock
        self._interval_s = interval_s
        self._retention_s = retention_s
        self._token = secrets.token_hex(16)

    def run_until(self, ended: threading.Event) -> None:
        """Reconcile until the event is set; what fails is logged and tried again."""
        while True:
            try:
                if self._jobs.renew_lease(ROLE, self._token, max(ROLE_S, 3 * self._interval_s)):
                    self.reconcile()
            except FemurctError as error:
                logger.warning("reconciler: %s", error.code)
            except Exception:
                logger.exception("reconciler")
            if ended.wait(self._interval_s):
                return

    def reconcile(self) -> None:
        """One look at everything."""
        if self._jobs.take_lease(RECOVERED, self._token, RECOVERY_INTERVAL_S):
            self._recover()
            self._objects.sweep(self._limits.deadline_s + HALF_WRITTEN_MARGIN_S)
            self._expire()
        waiting = []
        for job in self._jobs.unfinished():
            if self._jobs.has_lease(job.id):
                continue
            try:
                if self._settled(job):
                    waiting.append(job)
            except JobError as error:  # it moved on meanwhile
                logger.debug("reconciler: %s", error.code, extra={"job_id": job.id})
        self._resend(waiting)

    def _recover(self) -> None:
        for job_id in self._objects.job_ids():
            try:
                find_job(job_id, self._jobs, self._objects)
            except JobError as error:  # deleted meanwhile
                logger.debug("reconciler: %s", error.code, extra={"job_id": job_id})

    def _expire(self) -> None:
        now = self._clock()
        for job in self._jobs.finished_before(now - timedelta(seconds=self._retention_s)):
            if job.state is not JobState.EXPIRED:
                self._objects.delete(job.id)
                self._replace(job, job.moved_to(JobState.EXPIRED, now))
            elif now - job.updated_at > timedelta(seconds=EXPIRED_KEPT_S):
                self._jobs.delete(job.id)

    def _settled(self, job: Job) -> bool:
        """Set a job right that nobody holds; true when it waits for a worker."""
        try:
            stored = self._objects.job(job.id)
        except JobError:
            self._jobs.delete(job.id)
            return False
        now = self._clock()
        if stored.state.is_final:
            self._replace(job, job.moved_to(stored.state, now, error=stored.error))
            self._objects.drop_upload(job.id)
            return False
        if job.state is JobState.RUNNING:
            failure = self._reason_to_give_up(job)
            if failure is not None:
                ended = self._replace(job, job.moved_to(JobState.FAILED, now, error=failure))
                self._objects.record_end(ended)
                self._objects.drop_upload(job.id)
                logger.error("job is given up: %s", failure.code, extra={"job_id": job.id})
            else:
                logger.warning("its worker is gone; sent again", extra={"job_id": job.id})
                self._replace(job, job.moved_to(JobState.QUEUED, now))
                self._queue.send(job.id)
            return False
        is_late = now - job.updated_at > timedelta(seconds=RESEND_GRACE_S)
        return is_late and not self._jobs.has_lease(_received(job.id))

    def _reason_to_give_up(self, job: Job) -> JobFailure | None:
        ran = self._clock() - (job.started_at or job.updated_at)
        if ran > timedelta(seconds=self._limits.deadline_s):
            return DEADLINE_EXCEEDED
        return WORKER_LOST if job.tries >= self._limits.max_tries else None

    def _resend(self, waiting: list[Job]) -> None:
        """Send jobs that wait again when the queue holds fewer requests than jobs wait."""
        if not waiting or self._queue.depth() >= len(waiting):
            return
        for job in waiting:
            now = self._clock()
            is_new = job.state is JobState.ACCEPTED
            sent = job.moved_to(JobState.QUEUED, now) if is_new else job.touched(now)
            try:
                self._replace(job, sent)
            except JobError:
                continue  # it moved on meanwhile
            logger.warning("its message is gone; sent again", extra={"job_id": job.id})
            self._queue.send(job.id)

    def _replace(self, seen: Job, by: Job) -> Job:
        """Record a change unless another came since the job was looked at."""

        def step(job: Job) -> Job:
            if job.version != seen.version:
                raise JobError("the job changed meanwhile", code="job_conflict")
            return by

        return self._jobs.change(seen.id, step)
