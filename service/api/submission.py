"""A received upload becomes a job, or turns out to be one already."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import time

from service.api.dependencies import ApiServices
from service.domain.job_recovery import find_job
from service.domain.jobs import Job, JobOptions, JobState
from service.domain.ports import Upload
from service.errors import JobError, ServiceError

logger = logging.getLogger(__name__)

LONGEST_ACCEPT_S = 300.0
"""Syncing the largest upload to a slow disk takes less; a dead API holds its names so long."""

ARRIVAL_INTERVAL_S = 0.1
"""Between two looks at a job of the same name that is still arriving."""


def check_capacity(services: ApiServices) -> None:
    """Refuse before the body is read what could not be worked on.

    Raises:
        ServiceError: ``job_store_unavailable``, ``too_many_jobs``.
    """
    waiting = len(services.jobs.unfinished())
    if waiting >= services.limits.max_waiting_jobs:
        raise ServiceError(
            f"{waiting} jobs wait already; send again when some are done", code="too_many_jobs"
        )


def submit(
    upload: Upload, options: JobOptions, key: str | None, services: ApiServices
) -> tuple[Job, bool]:
    """Accept an upload.

    Args:
        upload: complete.
        options: what the sender chose.
        key: the sender's Idempotency-Key.
        services: the API's.

    Returns:
        The job, and whether it is new: the same key leads to the same job, and the same input
        with the same options to the job that has it in work or done.

    Raises:
        ServiceError: ``idempotency_key_reused``, ``storage_full``, ``job_store_unavailable``.
    """
    now = services.clock()
    job = Job(
        id=secrets.token_hex(16),
        input_sha256=upload.sha256,
        options=options,
        created_at=now,
        updated_at=now,
    )
    # whoever finds a name claimed by this job waits for it instead of taking the name over
    services.jobs.take_lease(_arriving(job.id), job.id, LONGEST_ACCEPT_S)
    try:
        earlier = _accepted(upload, job, key, services)
    finally:
        with contextlib.suppress(ServiceError):  # it lapses; a job that is durable is accepted
            services.jobs.release_lease(_arriving(job.id), job.id)
    return (_queued(job, services), True) if earlier is None else (earlier, False)


def _accepted(upload: Upload, job: Job, key: str | None, services: ApiServices) -> Job | None:
    """Make the job durable; none when it now is, else the earlier job that answers for it."""
    key_name = None if key is None else f"key:{hashlib.sha256(key.encode()).hexdigest()}"
    earlier = _holder(key_name, job, services) if key_name else None
    if earlier is not None and earlier.fingerprint != job.fingerprint:
        raise ServiceError(
            "this Idempotency-Key came before with another upload or other options; "
            "use a new key for a new request",
            code="idempotency_key_reused",
        )
    if earlier is not None:
        return earlier
    same = _holder(f"input:{job.fingerprint}", job, services, but_not=_WITHOUT_RESULT)
    if same is not None:
        if key_name:
            services.jobs.claim(key_name, same.id, instead_of=job.id)
        return same
    upload.accept(job)
    return None


_WITHOUT_RESULT = (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)
"""Such a job is no answer to the same upload sent again."""


def _holder(
    name: str, job: Job, services: ApiServices, *, but_not: tuple[JobState, ...] = ()
) -> Job | None:
    """The job that holds a name; none when the new one does now.

    A holder that is still arriving is waited for; one that was deleted, never arrived or is in a
    state of ``but_not`` loses the name to the new job.
    """
    holder = services.jobs.claim(name, job.id)
    while holder != job.id:
        is_arriving = services.jobs.has_lease(_arriving(holder))  # asked first: it ends by arriving
        with contextlib.suppress(JobError):
            found = find_job(holder, services.jobs, services.objects)
            if found.state not in but_not:
                return found
        if is_arriving:
            time.sleep(ARRIVAL_INTERVAL_S)
        holder = services.jobs.claim(name, job.id, instead_of=None if is_arriving else holder)
    return None


def _arriving(job_id: str) -> str:
    """The lease held while a job claims its names and is made durable."""
    return f"arriving:{job_id}"


def _queued(job: Job, services: ApiServices) -> Job:
    """Hand an accepted job to the workers; it is durable, so what fails here is not lost."""
    try:
        services.jobs.add(job)
        queued = services.jobs.change(
            job.id, lambda found: found.moved_to(JobState.QUEUED, services.clock())
        )
        services.queue.send(job.id)
    except (ServiceError, JobError) as error:
        logger.warning("accepted, not queued yet: %s", error.code, extra={"job_id": job.id})
        return job
    logger.info("accepted", extra={"job_id": job.id})
    return queued


def cancel_or_delete(job_id: str, services: ApiServices) -> Job | None:
    """Cancel an unfinished job, or remove a finished one with all its files.

    Returns:
        The cancelled job; none when it was removed.

    Raises:
        JobError: ``job_not_found``.
    """
    job = find_job(job_id, services.jobs, services.objects)
    if not job.state.is_final:
        try:
            cancelled = services.jobs.change(
                job_id, lambda found: found.moved_to(JobState.CANCELLED, services.clock())
            )
        except JobError as error:
            if error.code != "job_state":
                raise
        else:
            services.objects.record_end(cancelled)
            services.objects.drop_upload(job_id)
            logger.info("cancelled", extra={"job_id": job_id})
            return cancelled
    services.objects.delete(job_id)
    services.jobs.delete(job_id)
    logger.info("deleted", extra={"job_id": job_id})
    return None
