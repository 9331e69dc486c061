"""Between two windows: record progress, and see whether the run shall go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from service.domain.jobs import Job, JobState, Progress, Stage
from service.domain.ports import JobStore
from service.errors import FemurctError, JobCancelled, JobError, ServiceError
from service.worker.lease import LeaseKeeper

REPORT_INTERVAL_S = 0.5
"""Progress inside a stage is recorded, and a cancelled job noticed, this often at most."""

STOPPING = threading.Event()
"""Set in a pool process when its worker was told to stop."""


class WorkerStopping(FemurctError):
    """The worker was told to stop; the job goes back to the queue."""

    code = "worker_stopping"


class LeaseLost(FemurctError):
    """The run no longer has the right to the job."""

    code = "lease_lost"


def same_run(job: Job, run: Job) -> Job:
    """The job, if it is still in this very run.

    Raises:
        JobCancelled: it was cancelled or has ended.
        LeaseLost: another run has begun.
    """
    if job.state.is_final:
        raise JobCancelled("the job was cancelled")
    if job.state is not JobState.RUNNING or job.started_at != run.started_at:
        raise LeaseLost("another run of the job has begun")
    return job


class JobListener:
    """A ProgressListener for one run of a job.

    Args:
        run: the job as it was started.
        jobs: where progress is recorded.
        keeper: of the run's lease.
        clock: now, UTC.
    """

    def __init__(
        self, run: Job, jobs: JobStore, keeper: LeaseKeeper, clock: Callable[[], datetime]
    ) -> None:
        self._run = run
        self._jobs = jobs
        self._keeper = keeper
        self._clock = clock
        self._stage: Stage | None = None
        self._progress = Progress()
        self._reported_at = 0.0

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """See ProgressListener.

        Raises:
            JobCancelled: the job was cancelled or deleted.
            JobError: ``deadline_exceeded``.
            WorkerStopping: the worker was told to stop.
            LeaseLost: another run may have begun.
        """
        progress = Progress(done=done, total=total)
        if (stage, progress) != (self._stage, self._progress):
            self._keeper.moved()
        if STOPPING.is_set():
            raise WorkerStopping("the worker was told to stop")
        if self._keeper.is_overdue:
            raise JobError(
                "the run took longer than the service allows; send a series with fewer slices, "
                "or raise FEMURCT_JOB_DEADLINE_S",
                code="deadline_exceeded",
            )
        if self._keeper.is_lost:
            raise LeaseLost("the lease of the job lapsed")
        now = time.monotonic()
        is_due = stage is not self._stage or now - self._reported_at >= REPORT_INTERVAL_S
        self._stage, self._progress = stage, progress
        if is_due:
            self._reported_at = now
            self._report(stage, progress)

    def _report(self, stage: Stage, progress: Progress) -> None:
        try:
            self._jobs.change(
                self._run.id,
                lambda job: same_run(job, self._run).at(stage, progress, self._clock()),
            )
        except ServiceError:
            return  # the store is away; the run goes on
        except (JobCancelled, LeaseLost):
            raise
        except JobError as error:
            raise JobCancelled("the job was deleted") from error
