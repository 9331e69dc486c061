"""A job and the only ways its state may change (no numpy)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from service.domain.calibration import Calibration
from service.domain.window import MAX_STRIDE_Z
from service.errors import JobError


class JobState(StrEnum):
    """Where a job stands."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the job will not run any more."""
        return self not in (JobState.ACCEPTED, JobState.QUEUED, JobState.RUNNING)


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.ACCEPTED: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
    # running -> queued: its worker died or was stopped, the reconciler sends the job again
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.SUCCEEDED: frozenset({JobState.EXPIRED}),
    JobState.FAILED: frozenset({JobState.EXPIRED}),
    JobState.CANCELLED: frozenset({JobState.EXPIRED}),
    JobState.EXPIRED: frozenset(),
}
"""Every change of state goes through this table."""


class Stage(StrEnum):
    """What a running job is doing; the order is the order of the pipeline."""

    READ = "read"
    CROP = "crop"
    PERIOSTEAL = "periosteal"
    ENDOSTEAL = "endosteal"
    REGIONS = "regions"
    WRITE = "write"


class Progress(BaseModel):
    """Units of work done in the whole job (windows of both networks, all femurs)."""

    model_config = ConfigDict(frozen=True)

    done: int = Field(default=0, ge=0)
    total: int = Field(default=0, ge=0)


class JobFailure(BaseModel):
    """Why a job failed: a stable code and a sentence without patient identifiers."""

    model_config = ConfigDict(frozen=True)

    code: str
    detail: str


class JobOptions(BaseModel):
    """What the sender chose.

    Attributes:
        stride_z: slices between two windows of 64; none is the service's default.
        series_instance_uid: which series of the upload to measure; none leaves it to the ranking.
        expected_instances: SOP instances of the series, as the sender counts them; none is not
            checked.
        resample_gaps: fill gaps between slices by interpolation instead of refusing them.
        calibration: from HU to density; none gives HU only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stride_z: int | None = Field(default=None, ge=1, le=MAX_STRIDE_Z)
    series_instance_uid: str | None = None
    expected_instances: int | None = Field(default=None, ge=1)
    resample_gaps: bool = False
    calibration: Calibration | None = None


class Job(BaseModel):
    """One job; every change makes a new value.

    Attributes:
        id: 32 hexadecimal digits, random.
        state, stage, progress, error: as the API shows them.
        options: what the sender chose.
        tries: runs started so far, less those ended by the worker's own shutdown.
        input_sha256: of the upload.
        created_at, updated_at, started_at: UTC; ``started_at`` is of the last run.
        version: grows by one with each change (compare-and-set).
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    state: JobState = JobState.ACCEPTED
    stage: Stage | None = None
    progress: Progress = Progress()
    error: JobFailure | None = None
    options: JobOptions = JobOptions()
    tries: int = Field(default=0, ge=0)
    input_sha256: str = ""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    version: int = 0

    @property
    def fingerprint(self) -> str:
        """The same for two jobs with the same input and options: their results are equal."""
        text = f"{self.input_sha256} {self.options.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def moved_to(self, state: JobState, now: datetime, *, error: JobFailure | None = None) -> Job:
        """The job in another state.

        Raises:
            JobError: ``job_state`` when the transition table does not allow it.
        """
        if state not in TRANSITIONS[self.state]:
            raise JobError(
                f"a job that is {self.state} cannot become {state}; "
                f"it can become: {', '.join(sorted(TRANSITIONS[self.state])) or 'nothing'}",
                code="job_state",
            )
        started = state is JobState.RUNNING
        progress = Progress() if started else self.progress
        if state is JobState.SUCCEEDED:
            progress = Progress(done=progress.total, total=progress.total)
        return self.model_copy(
            update={
                "state": state,
                "error": error,
                "tries": self.tries + int(started),
                "stage": Stage.READ if started else None,
                "progress": progress,
                "started_at": now if started else self.started_at,
                "updated_at": now,
                "version": self.version + 1,
            }
        )

    def given_back(self, now: datetime) -> Job:
        """A running job back in the queue because its worker was told to stop: no try is lost."""
        queued = self.moved_to(JobState.QUEUED, now)
        return queued.model_copy(update={"tries": self.tries - 1, "progress": Progress()})

    def at(self, stage: Stage, progress: Progress, now: datetime) -> Job:
        """The job further on in its run."""
        return self.model_copy(
            update={
                "stage": stage,
                "progress": progress,
                "updated_at": now,
                "version": self.version + 1,
            }
        )

    def touched(self, now: datetime) -> Job:
        """The job unchanged, looked at now."""
        return self.model_copy(update={"updated_at": now, "version": self.version + 1})
