"""What a run of a job needs, built by bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from service.domain.jobs import JobOptions
from service.domain.ports import JobStore, ObjectStore, ProgressListener, TaskQueue
from service.settings import Settings


class Analyse(Protocol):
    """The whole analysis of one upload."""

    def __call__(
        self, archive: Path, out_dir: Path, options: JobOptions, listener: ProgressListener
    ) -> None:
        """Read an upload, write the result's files into ``out_dir``.

        Raises:
            FemurctError: what was sent cannot be used, or the listener stopped the run.
        """


@dataclass(frozen=True)
class RunLimits:
    """When a run is over, in seconds.

    Attributes:
        lease_s: a worker that stops renewing has lost its job after this.
        stall_s: longest time without progress.
        deadline_s: longest run.
        max_tries: runs started before a job is given up.
    """

    lease_s: float
    stall_s: float
    deadline_s: float
    max_tries: int


@dataclass(frozen=True)
class WorkerServices:
    """Everything a worker works with.

    ``prepare`` loads what the first run would else have to wait for; raises FemurctError.
    """

    jobs: JobStore
    objects: ObjectStore
    queue: TaskQueue
    prepare: Callable[[], None]
    analyse: Analyse
    limits: RunLimits
    clock: Callable[[], datetime]


@dataclass(frozen=True)
class WorkerRecipe:
    """How a pool process, which is a fresh interpreter, builds its services.

    Attributes:
        settings: of the worker that starts the process.
        build: importable by name, since it is pickled.
    """

    settings: Settings
    build: Callable[[Settings], WorkerServices]
