"""What the API answers with."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, Json, model_validator
from pydantic_core import PydanticCustomError

from service.domain.calibration import Calibration
from service.domain.jobs import Job, JobFailure, JobOptions, JobState, Progress, Stage
from service.domain.model_contract import ModelFile
from service.domain.window import MAX_STRIDE_Z


class JobQuery(BaseModel):
    """What a sender may choose in the query of a new job; anything else is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stride: int | None = Field(
        default=None,
        ge=1,
        le=MAX_STRIDE_Z,
        description="slices between windows of 64; by default few deep ones",
    )
    series_instance_uid: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[0-9.]+$",
        description="which series to measure; by default the first of the ranking (docs/dicom.md)",
    )
    expected_instances: int | None = Field(
        default=None,
        ge=1,
        description="SOP instances of the series, as (0020,1209); refused if the upload differs",
    )
    resample_gaps: bool = Field(
        default=False, description="fill gaps between slices, up to 6 mm, by interpolation"
    )
    calibration: Json[Calibration] | None = Field(
        default=None,
        description="from HU to bone mineral density, as JSON: slope, intercept, unit, method and, "
        "where known, slope_sd, intercept_sd, correlation (docs/measurements.md)",
        examples=['{"slope":0.86,"intercept":-2.1,"unit":"mg/cm3 HA","method":"asynchronous"}'],
    )

    @model_validator(mode="before")
    @classmethod
    def _name_unknown(cls, given: dict[str, object]) -> dict[str, object]:
        """A misspelt option would otherwise be a job that was not asked for."""
        unknown = sorted(set(given) - set(cls.model_fields))
        if unknown:
            raise PydanticCustomError(
                "unknown_option",
                "no option is called {unknown}; known are {known}",
                {"unknown": " or ".join(unknown), "known": ", ".join(cls.model_fields)},
            )
        return given

    def options(self) -> JobOptions:
        """As a job carries them."""
        return JobOptions(
            stride_z=self.stride,
            series_instance_uid=self.series_instance_uid,
            expected_instances=self.expected_instances,
            resample_gaps=self.resample_gaps,
            calibration=self.calibration,
        )


class JobLinks(BaseModel):
    """Where to go from a job."""

    model_config = ConfigDict(frozen=True)

    self: str
    events: str
    result: str
    artifacts: str


class JobView(BaseModel):
    """A job as a client sees it.

    ``queue_position`` counts the unfinished jobs before this one, running ones included, and is
    null once the job runs; ``eta_seconds`` is known while it runs and has got on.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    state: JobState
    stage: Stage | None
    progress: Progress
    error: JobFailure | None
    links: JobLinks
    created_at: datetime
    updated_at: datetime
    tries: int
    queue_position: int | None = None
    eta_seconds: float | None = None

    @property
    def etag(self) -> str:
        """Changes with everything the view shows but the estimate, which changes with time."""
        text = self.model_dump_json(exclude={"eta_seconds"})
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


class JobList(BaseModel):
    """The newest jobs, newest first."""

    jobs: tuple[JobView, ...]


class ArtifactLink(BaseModel):
    """One file of a result."""

    name: str
    size_bytes: int
    href: str


class ArtifactList(BaseModel):
    """All files of a result."""

    artifacts: tuple[ArtifactLink, ...]


class ModelList(BaseModel):
    """The networks the service runs."""

    models: tuple[ModelFile, ...]


class Health(BaseModel):
    """Whether a part of the service works."""

    status: str = Field(examples=["ok"])
    checks: tuple[HealthCheck, ...] = ()


class HealthCheck(BaseModel):
    """One thing that must work."""

    name: str
    ok: bool
    detail: str


def job_links(job_id: str) -> JobLinks:
    """Links of a job; relative to the host, so they hold behind a proxy."""
    base = f"/v1/jobs/{job_id}"
    return JobLinks(
        self=base, events=f"{base}/events", result=f"{base}/result", artifacts=f"{base}/artifacts"
    )


def job_view(job: Job, now: datetime, unfinished: tuple[Job, ...] = ()) -> JobView:
    """A job as a client sees it.

    Args:
        job: the job.
        now: UTC, for the estimate.
        unfinished: jobs that wait or run, oldest first, for the position in the queue.
    """
    position = None
    if job.state in (JobState.ACCEPTED, JobState.QUEUED):
        position = sum(1 for other in unfinished if other.created_at < job.created_at)
    return JobView(
        id=job.id,
        state=job.state,
        stage=job.stage,
        progress=job.progress,
        error=job.error,
        links=job_links(job.id),
        created_at=job.created_at,
        updated_at=job.updated_at,
        tries=job.tries,
        queue_position=position,
        eta_seconds=_eta_seconds(job, now),
    )


def _eta_seconds(job: Job, now: datetime) -> float | None:
    done, total = job.progress.done, job.progress.total
    if job.state is not JobState.RUNNING or job.started_at is None or not 0 < done <= total:
        return None
    elapsed = (now - job.started_at).total_seconds()
    return round(max(elapsed, 0.0) * (total - done) / done, 1)
