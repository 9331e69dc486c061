"""One run of one job, and the Celery task around it."""

from __future__ import annotations

import logging
import secrets
import signal
import traceback
from functools import cached_property
from types import FrameType
from typing import Any

from celery import Task, current_app, shared_task, signals

from service.adapters.task_queue import TASK_NAME
from service.domain.job_recovery import find_job
from service.domain.jobs import Job, JobFailure, JobState
from service.errors import FemurctError, JobCancelled, JobError
from service.worker import pool_process
from service.worker.lease import LeaseKeeper
from service.worker.listener import STOPPING, JobListener, LeaseLost, WorkerStopping, same_run
from service.worker.services import WorkerServices

logger = logging.getLogger(__name__)

STOP_SIGNAL = signal.SIGUSR2
"""From the worker's main process to its pool process: give the job back and end."""

INTERNAL_ERROR = JobFailure(
    code="internal_error",
    detail="the service failed on this series; the operator finds the cause in the log "
    "under the job's id",
)


def run_job(job_id: str, services: WorkerServices) -> None:
    """Run a job that waits; nothing happens when it has ended, runs elsewhere or is gone.

    Raises:
        ServiceError: the stores cannot be reached; the reconciler sends the job again.
    """
    token = secrets.token_hex(16)
    if not services.jobs.take_lease(job_id, token, services.limits.lease_s):
        logger.info("job is held by another run", extra={"job_id": job_id})
        return
    try:
        run = _start(job_id, services)
        keeper = LeaseKeeper(
            services.jobs, job_id, token, services.limits, on_stall=pool_process.end
        )
        with keeper:
            _run(run, keeper, services)
    except (JobError, LeaseLost) as error:
        logger.info("nothing to run: %s", error.code, extra={"job_id": job_id})
    finally:
        services.jobs.release_lease(job_id, token)


def _start(job_id: str, services: WorkerServices) -> Job:
    find_job(job_id, services.jobs, services.objects)
    now = services.clock()

    def begin(job: Job) -> Job:
        # a job that is running without a lease is the reconciler's: it counts the tries
        queued = job.moved_to(JobState.QUEUED, now) if job.state is JobState.ACCEPTED else job
        return queued.moved_to(JobState.RUNNING, now)

    run = services.jobs.change(job_id, begin)
    logger.info("run %d begins", run.tries, extra={"job_id": job_id})
    return run


def _run(run: Job, keeper: LeaseKeeper, services: WorkerServices) -> None:
    listener = JobListener(run, services.jobs, keeper, services.clock)
    archive = services.objects.upload_path(run.id)
    try:
        services.objects.publish(
            run.id, lambda folder: services.analyse(archive, folder, run.options, listener)
        )
    except WorkerStopping:
        _give_back(run, services)
    except LeaseLost:
        logger.warning("run is given up: lease lost", extra={"job_id": run.id})
    except JobCancelled:
        logger.info("run is given up: cancelled", extra={"job_id": run.id})
    except FemurctError as error:
        _end(run, services, JobFailure(code=error.code, detail=error.detail))
    except Exception as error:
        # the text of a foreign exception may quote the series: log where it arose, not what it says
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s\n%s", type(error).__name__, where, extra={"job_id": run.id})
        _end(run, services, INTERNAL_ERROR)
    else:
        _end(run, services, None)


def _give_back(run: Job, services: WorkerServices) -> None:
    services.jobs.change(run.id, lambda job: same_run(job, run).given_back(services.clock()))
    services.queue.send(run.id)
    logger.info("job is back in the queue: the worker stops", extra={"job_id": run.id})


def _end(run: Job, services: WorkerServices, failure: JobFailure | None) -> None:
    state = JobState.FAILED if failure else JobState.SUCCEEDED
    now = services.clock()
    ended = services.jobs.change(
        run.id, lambda job: same_run(job, run).moved_to(state, now, error=failure)
    )
    if failure is not None:
        services.objects.record_end(ended)
    services.objects.drop_upload(run.id)
    code = failure.code if failure else "ok"
    logger.info("run ends: %s, %s", state, code, extra={"job_id": run.id})


class AnalysisTask(Task):  # type: ignore[misc]
    """Holds the services of its process."""

    @cached_property
    def services(self) -> WorkerServices:
        """Built once per process by the recipe in the app's configuration."""
        recipe = self.app.conf["femurct_recipe"]
        services: WorkerServices = recipe.build(recipe.settings)
        return services


@shared_task(name=TASK_NAME, base=AnalysisTask, bind=True)  # type: ignore[untyped-decorator]
def analyse(task: AnalysisTask, job_id: str) -> None:
    """Run one job; see run_job."""
    run_job(job_id, task.services)


@signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _begin(**_: Any) -> None:
    """In a new pool process, before Celery counts it as up."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        STOPPING.set()

    signal.signal(STOP_SIGNAL, stop)
    pool_process.begin(current_app.tasks[TASK_NAME].services)


@signals.setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
def _keep_our_logging(**_: Any) -> None:
    """A receiver keeps Celery from setting up logging; bootstrap has done so."""
