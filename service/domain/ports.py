"""What the core needs of the outside, as Protocols (numpy only for type checkers)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from service.domain.jobs import Job, Stage
from service.domain.model_contract import ModelContract

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


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


class ObjectStore(Protocol):
    """Jobs' files; the truth about which jobs exist.

    An accepted job is a directory with the upload and ``request.json``.
    """

    def create(self, job: Job, write_upload: Callable[[Path], None]) -> None:
        """Make an accepted job durable: all of it or nothing (fsync, then one rename)."""

    def upload_path(self, job_id: str) -> Path:
        """Where the upload lies.

        Raises:
            JobError: ``job_not_found``.
        """

    def publish(self, job_id: str, write_result: Callable[[Path], None]) -> None:
        """Make a result visible by one atomic rename; a second result leaves the first."""

    def result_path(self, job_id: str, name: str) -> Path:
        """Where one file of the result lies.

        Raises:
            JobError: ``job_not_found``, ``result_not_ready`` or ``artifact_not_found``.
        """

    def job_ids(self) -> Iterator[str]:
        """All jobs in the store."""

    def delete(self, job_id: str) -> None:
        """Remove a job and all its files; nothing happens where there is none."""


class JobStore(Protocol):
    """Job records and leases; can be lost and rebuilt from the object store."""

    def add(self, job: Job) -> None:
        """Record a new job."""

    def get(self, job_id: str) -> Job:
        """The job.

        Raises:
            JobError: ``job_not_found``.
        """

    def replace(self, job: Job) -> None:
        """Compare-and-set: ``job.version`` must be one above the recorded version.

        Raises:
            JobError: ``job_conflict`` when another change came first.
        """

    def all(self) -> tuple[Job, ...]:
        """Every job, newest first."""

    def delete(self, job_id: str) -> None:
        """Forget the job."""

    def take_lease(self, job_id: str, token: str, seconds: float) -> bool:
        """Take the right to run a job unless somebody holds it."""

    def renew_lease(self, job_id: str, token: str, seconds: float) -> bool:
        """Keep it; false when it is somebody else's or gone."""

    def release_lease(self, job_id: str, token: str) -> None:
        """Give it back, if it is still ours."""

    def has_lease(self, job_id: str) -> bool:
        """Whether somebody holds it."""


class TaskQueue(Protocol):
    """Hands job ids to workers; may lose or repeat them."""

    def send(self, job_id: str) -> None:
        """Ask for one run of a job."""
