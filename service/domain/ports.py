"""What the core needs of the outside, as Protocols (numpy only for type checkers)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.domain.jobs import Job, Stage
from service.domain.model_contract import ModelContract

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


WORKER_ALIVE = "worker-alive"
"""The lease that all pool processes share; while it is held, one lives, its networks loaded."""


class PatchPredictor(Protocol):
    """One network, loaded and checked."""

    @property
    def contract(self) -> ModelContract:
        """What the network file promises."""

    @property
    def provider(self) -> str:
        """What runs it, such as ``CUDAExecutionProvider``."""

    @property
    def sha256(self) -> str:
        """Of the network file."""

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Foreground probability of one window.

        Args:
            hu: float32 ``[z, y, x]``, sides multiples of ``contract.size_multiple``.

        Returns:
            float32 of the same shape, 0-1.
        """


class ProgressListener(Protocol):
    """Told how far a run is; may raise JobCancelled to stop it between two windows."""

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Stage, and units of work done and expected in the whole run."""


class Upload(Protocol):
    """An upload being received; leaving its ``with`` block before ``accept`` removes it."""

    @property
    def size(self) -> int:
        """Bytes written so far."""

    @property
    def sha256(self) -> str:
        """Hexadecimal, of the bytes written so far."""

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            ServiceError: ``storage_full``.
        """

    def accept(self, job: Job) -> None:
        """Make the job durable: all of it or nothing (fsync, then one rename)."""


class ObjectStore(Protocol):
    """Jobs' files; the truth about which jobs exist.

    An accepted job is a directory with the upload and ``request.json``; a published result is the
    directory ``result`` in it; any other end is ``outcome.json`` in it.
    """

    def receive(self) -> AbstractContextManager[Upload]:
        """Begin to receive an upload."""

    def upload_path(self, job_id: str) -> Path:
        """Where the upload lies.

        Raises:
            JobError: ``job_not_found``.
        """

    def job(self, job_id: str) -> Job:
        """The job as far as its files tell: accepted, or how it ended.

        Raises:
            JobError: ``job_not_found``.
        """

    def publish(self, job_id: str, write_result: Callable[[Path], None]) -> None:
        """Make a result visible by one atomic rename; a second result leaves the first.

        Args:
            job_id: the job.
            write_result: writes files into the directory it is given.

        Raises:
            JobError: ``job_not_found`` when the job was deleted meanwhile, ``cancelled`` when it
                ended otherwise.
            ServiceError: ``storage_full``.
        """

    def record_end(self, job: Job) -> None:
        """Keep how a job ended without a result; nothing happens where the job is gone.

        A result that was published at the same time is removed.
        """

    def drop_upload(self, job_id: str) -> None:
        """Remove the upload of a job that will not run any more."""

    def artifact_names(self, job_id: str) -> tuple[str, ...]:
        """Names of the result's files, sorted.

        Raises:
            JobError: ``job_not_found`` or ``result_not_ready``.
        """

    def result_path(self, job_id: str, name: str) -> Path:
        """Where one file of the result lies.

        Raises:
            JobError: ``job_not_found``, ``result_not_ready`` or ``artifact_not_found``.
        """

    def job_ids(self) -> Iterator[str]:
        """All jobs in the store."""

    def delete(self, job_id: str) -> None:
        """Remove a job and all its files; nothing happens where there is none."""

    def sweep(self, older_than_s: float) -> None:
        """Remove what processes that died left half written, untouched for this long."""


class JobStore(Protocol):
    """Job records and leases; can be lost and rebuilt from the object store.

    Every call raises ServiceError ``job_store_unavailable`` when the store cannot be reached.
    """

    def ping(self) -> None:
        """Return if the store answers."""

    def add(self, job: Job) -> bool:
        """Record a new job; false, and nothing changes, where it is recorded already."""

    def get(self, job_id: str) -> Job:
        """The job.

        Raises:
            JobError: ``job_not_found``.
        """

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Compare-and-set: record ``step(job)``, asking again when another change came first.

        Raises:
            JobError: ``job_not_found``, or what ``step`` raises; nothing changes then.
        """

    def latest(self, limit: int) -> tuple[Job, ...]:
        """The newest jobs, newest first."""

    def unfinished(self) -> tuple[Job, ...]:
        """Jobs that are accepted, queued or running, oldest first."""

    def finished_before(self, moment: datetime) -> tuple[Job, ...]:
        """Jobs in a final state since before this moment."""

    def delete(self, job_id: str) -> None:
        """Forget the job."""

    def claim(self, key: str, job_id: str, *, instead_of: str | None = None) -> str:
        """Let a key stand for a job.

        Args:
            key: such as a fingerprint.
            job_id: the job it shall stand for.
            instead_of: the job it may be taken from.

        Returns:
            The job the key stands for now: the first that claimed it.
        """

    def take_lease(self, name: str, token: str, seconds: float) -> bool:
        """Take the right to run a job (or a role) unless somebody holds it."""

    def renew_lease(self, name: str, token: str, seconds: float) -> bool:
        """Keep it, or take it again where it lapsed; false when it is somebody else's."""

    def release_lease(self, name: str, token: str) -> None:
        """Give it back, if it is still ours."""

    def has_lease(self, name: str) -> bool:
        """Whether somebody holds it."""


class TaskQueue(Protocol):
    """Hands job ids to workers; may lose or repeat them."""

    def send(self, job_id: str) -> None:
        """Ask for one run of a job.

        Raises:
            ServiceError: ``broker_unavailable``.
        """

    def depth(self) -> int:
        """Requests that wait for a worker."""
