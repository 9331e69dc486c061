"""The REST API from the caller's side: what ``femurct submit`` speaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.domain.findings import AnalysisReport
from service.domain.jobs import JobFailure, JobOptions, JobState, Progress, Stage
from service.errors import INPUT_CODES, FemurctError, InputError, ServiceError

REPORT_NAME = "report.json"
"""The artifact that is read here; the others are only saved."""

CHUNK_BYTES = 1 << 20
"""Upload and download step; small enough for a smooth progress bar."""

LONG_POLL_S = 20
"""How long the service may hold a status request open (``?wait=``)."""

CONNECT_TIMEOUT_S = 5.0
"""An address where nothing takes a connection by then is dead."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""This machine."""

PATIENCE_S = 60.0
"""How long a service that was reached once may be away before a wait is given up: a restart of
the API takes seconds, and an accepted job outlives it."""

RETRY_PAUSE_S = 1.0
"""Pause before asking again a service that is away."""

UPLOAD_FAULTS = frozenset({"empty_body", "upload_too_large"})
"""Refusals that blame the zip; every other one blames the request, the key or the service."""

FIRST_SERVER_ERROR = 500
"""Statuses from here on may pass: the broker is starting, say."""


class RemoteJob(BaseModel):
    """A job as the API shows it; keys added later are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    state: JobState
    stage: Stage | None = None
    progress: Progress = Progress()
    error: JobFailure | None = None


class _Problem(BaseModel):
    """RFC 9457 problem details, the parts that are shown to a person."""

    code: str = "service_refused"
    detail: str | None = None
    title: str = "the service gave no reason"


class _Artifact(BaseModel):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.]*$", description="a plain name, no path")


class _Artifacts(BaseModel):
    artifacts: tuple[_Artifact, ...]


class ServiceClient:
    """A connection to one service; use as a context manager.

    Attributes:
        url: of the service.

    Args:
        url: of the service, such as ``http://127.0.0.1:8000``.
        api_key: sent as ``X-API-Key`` where given.
        transport: replaces the network in tests.
    """

    def __init__(
        self, url: str, api_key: str | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        try:
            self._http = httpx.Client(
                base_url=url.rstrip("/"),
                headers={"X-API-Key": api_key} if api_key else {},
                timeout=httpx.Timeout(30.0, connect=CONNECT_TIMEOUT_S, read=LONG_POLL_S + 30.0),
                # a proxy named by the environment leads nowhere from this machine to itself
                trust_env=httpx.URL(url).host not in LOOPBACK_HOSTS,
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise ServiceError(f"{url!r} is not an address: {error}") from None
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def is_ready(self) -> bool:
        """Whether the service answers that it can take and finish jobs."""
        try:
            return self._http.get("/v1/health/ready").is_success
        except httpx.HTTPError:
            return False

    def submit(
        self, archive: Path, options: JobOptions, on_sent: Callable[[int], None]
    ) -> RemoteJob:
        """Send a zip of a CT series.

        Args:
            archive: the zip; streamed, never held whole.
            options: of the analysis; what is None is the service's choice.
            on_sent: told the number of bytes of each step sent.

        Raises:
            InputError: the service says that the zip is empty or too large.
            ServiceError: the service cannot be reached, or refuses.
        """
        chosen = {
            "stride": options.stride_z,
            "series_instance_uid": options.series_instance_uid,
            "expected_instances": options.expected_instances,
            "resample_gaps": options.resample_gaps or None,
            "calibration": options.calibration.model_dump_json() if options.calibration else None,
        }
        try:
            answer = self._http.post(
                "/v1/jobs",
                params={name: value for name, value in chosen.items() if value is not None},
                content=_steps(archive, on_sent),
                headers={
                    "Content-Type": "application/zip",
                    "Content-Length": str(archive.stat().st_size),
                },
            )
        except httpx.HTTPError as error:
            raise self._away(error) from None
        return self._job(self._accepted(answer))

    def wait(self, job: RemoteJob, on_change: Callable[[RemoteJob], None]) -> RemoteJob:
        """Follow a job to its end by long polls.

        Args:
            job: as returned by ``submit``.
            on_change: told every state seen.

        Returns:
            The job, succeeded.

        Raises:
            InputError: the series cannot be used; the code and the sentence are the service's.
            ServiceError: the service stayed away longer than PATIENCE_S, or refuses.
            FemurctError: the job failed for another reason, or was cancelled.
        """
        while not job.state.is_final:
            job = self._patiently(job.id)
            on_change(job)
        if job.state is JobState.SUCCEEDED:
            return job
        failure = job.error or JobFailure(
            code=str(job.state), detail=f"the job was {job.state} and has no result"
        )
        kind = InputError if failure.code in INPUT_CODES else FemurctError
        raise kind(failure.detail, code=failure.code)

    def download(self, job: RemoteJob, folder: Path) -> AnalysisReport:
        """Fetch every file of a succeeded job into an existing folder.

        Returns:
            The report among them.

        Raises:
            ServiceError: the service cannot be reached, refuses, or sends what is not a result.
        """
        artifacts = f"/v1/jobs/{job.id}/artifacts"
        try:
            listing = _Artifacts.model_validate_json(self._get(artifacts).content)
            for artifact in listing.artifacts:
                self._save(f"{artifacts}/{artifact.name}", folder / artifact.name)
            text = (folder / REPORT_NAME).read_bytes()
            # keys are added to the report: a newer service may know more of them
            return AnalysisReport.model_validate_json(text, extra="ignore")
        except (ValidationError, FileNotFoundError):
            raise self._unexpected("a result that is not one") from None

    def _patiently(self, job_id: str) -> RemoteJob:
        """One long poll that outlasts a restart of the service."""
        given_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._job(self._get(f"/v1/jobs/{job_id}", wait_s=LONG_POLL_S))
            except ServiceAway:
                if time.monotonic() > given_up_at:
                    raise
                time.sleep(RETRY_PAUSE_S)

    def _get(self, path: str, wait_s: int | None = None) -> httpx.Response:
        try:
            answer = self._http.get(path, params=None if wait_s is None else {"wait": wait_s})
        except httpx.HTTPError as error:
            raise self._away(error) from None
        return self._accepted(answer)

    def _accepted(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def _save(self, path: str, target: Path) -> None:
        try:
            with self._http.stream("GET", path) as answer, target.open("wb") as file:
                if not answer.is_success:
                    answer.read()
                    raise self._refusal(answer)
                for step in answer.iter_bytes(CHUNK_BYTES):
                    file.write(step)
        except httpx.HTTPError as error:
            raise self._away(error) from None

    def _job(self, answer: httpx.Response) -> RemoteJob:
        try:
            return RemoteJob.model_validate_json(answer.content)
        except ValidationError:
            raise self._unexpected("an answer that is not a job") from None

    def _away(self, error: httpx.HTTPError) -> ServiceError:
        reason = str(error) or type(error).__name__
        return ServiceAway(
            f"no service answers at {self.url} ({reason}); start one with 'femurct up' or "
            "name another with --url"
        )

    def _unexpected(self, found: str) -> ServiceError:
        return ServiceError(
            f"{self.url} sent {found}; is a femurct service of this version there?",
            code="unexpected_answer",
        )

    def _refusal(self, answer: httpx.Response) -> FemurctError:
        status = answer.status_code
        try:
            problem = _Problem.model_validate_json(answer.content)
        except ValidationError:
            problem = _Problem(detail=f"{self.url} answers with status {status}, unexplained")
        detail = problem.detail or problem.title
        if problem.code in UPLOAD_FAULTS:
            return InputError(detail, code=problem.code)
        kind = ServiceAway if status >= FIRST_SERVER_ERROR else ServiceError
        return kind(detail, code=problem.code)


class ServiceAway(ServiceError):
    """Nothing answers at the address, or nothing but server errors."""


def _steps(archive: Path, on_sent: Callable[[int], None]) -> Iterator[bytes]:
    with archive.open("rb") as file:
        while step := file.read(CHUNK_BYTES):
            yield step
            on_sent(len(step))
