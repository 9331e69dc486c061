"""Jobs, uploads and services for tests of the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.adapters.object_store import FolderObjectStore
from service.api.dependencies import ApiLimits, ApiServices
from service.domain.jobs import Job, JobOptions, JobState, Stage
from service.domain.ports import ProgressListener
from service.worker.services import RunLimits, WorkerServices
from tests.fakes import FakeJobStore, FakeTaskQueue

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)

PATH_TO = {
    JobState.ACCEPTED: (),
    JobState.QUEUED: (JobState.QUEUED,),
    JobState.RUNNING: (JobState.QUEUED, JobState.RUNNING),
    JobState.SUCCEEDED: (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED),
    JobState.FAILED: (JobState.FAILED,),
    JobState.CANCELLED: (JobState.CANCELLED,),
    JobState.EXPIRED: (JobState.FAILED, JobState.EXPIRED),
}


def job_id(number: int) -> str:
    """The number as 32 hexadecimal digits."""
    return f"{number:032x}"


def a_job(number: int = 1, state: JobState = JobState.ACCEPTED) -> Job:
    """A job created ``number`` seconds after midnight, led to a state by the table."""
    at = MIDNIGHT + timedelta(seconds=number)
    job = Job(id=job_id(number), created_at=at, updated_at=at, input_sha256=f"sha of {number}")
    for step in PATH_TO[state]:
        job = job.moved_to(step, at)
    return job


@dataclass
class Clock:
    """A clock that stands still until told."""

    now: datetime = MIDNIGHT

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Analysis:
    """An Analyse that calls its listener, then fails or writes a tiny result."""

    error: Exception | None = None
    windows: int = 2
    runs: list[JobOptions] = field(default_factory=list)

    def __call__(
        self, archive: Path, out_dir: Path, options: JobOptions, listener: ProgressListener
    ) -> None:
        self.runs.append(options)
        archive.read_bytes()
        for done in range(self.windows + 1):
            listener(Stage.PERIOSTEAL, done, self.windows)
        (out_dir / "report.json").write_text('{"schema": "femurct.report/1"}\n')
        (out_dir / "masks_rle.json").write_text('{"left_periosteal": {"counts": [1]}}')
        if self.error is not None:
            raise self.error


def nothing() -> None:
    """Done where there is nothing to prepare."""


@dataclass
class Service:
    """Both halves of the service on fakes and one folder."""

    folder: Path
    jobs: FakeJobStore = field(default_factory=FakeJobStore)
    queue: FakeTaskQueue = field(default_factory=FakeTaskQueue)
    clock: Clock = field(default_factory=Clock)
    analysis: Analysis = field(default_factory=Analysis)
    prepare: Callable[[], None] = nothing

    def __post_init__(self) -> None:
        self.objects = FolderObjectStore(self.folder)

    def api(
        self,
        *,
        api_keys: tuple[str, ...] = (),
        is_local: bool = False,
        max_upload_bytes: int = 1000,
    ) -> ApiServices:
        limits = ApiLimits(max_upload_bytes=max_upload_bytes, max_waiting_jobs=5)
        return ApiServices(
            jobs=self.jobs,
            objects=self.objects,
            queue=self.queue,
            models=(),
            limits=limits,
            api_keys=api_keys,
            is_local=is_local,
            clock=self.clock,
        )

    def worker(self) -> WorkerServices:
        return WorkerServices(
            jobs=self.jobs,
            objects=self.objects,
            queue=self.queue,
            prepare=self.prepare,
            analyse=self.analysis,
            limits=RunLimits(lease_s=30.0, stall_s=60.0, deadline_s=100.0, max_tries=3),
            clock=self.clock,
        )

    def accepted(self, number: int = 1, content: bytes = b"zip") -> Job:
        """A job whose upload is durable and which is recorded."""
        job = a_job(number)
        with self.objects.receive() as upload:
            upload.write(content)
            upload.accept(job)
        self.jobs.add(job)
        return job

    def moved(self, job: Job, *states: JobState) -> Job:
        """The recorded job after these changes of state."""
        for state in states:
            job = self.jobs.change(job.id, lambda found, to=state: found.moved_to(to, self.clock()))
        return job

    def files(self) -> list[str]:
        """Every file of the data folder."""
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file()
        )
