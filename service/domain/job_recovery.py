"""Find a job although the job store may have forgotten it."""

from __future__ import annotations

from service.domain.jobs import Job
from service.domain.ports import JobStore, ObjectStore
from service.errors import JobError


def find_job(job_id: str, jobs: JobStore, objects: ObjectStore) -> Job:
    """The job's record; recorded anew from its files after the job store was emptied.

    Raises:
        JobError: ``job_not_found``.
        ServiceError: ``job_store_unavailable``.
    """
    try:
        return jobs.get(job_id)
    except JobError:
        jobs.add(objects.job(job_id))
        return jobs.get(job_id)
