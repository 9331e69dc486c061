"""In-memory stand-ins for Redis; tests/contract runs one suite on them and on the real adapters.

The object store has no stand-in: it hands out paths, so on ``tmp_path`` the real one is as simple.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from service.domain.jobs import Job
from service.errors import JobError, ServiceError


class FakeJobStore:
    """A JobStore in a dict."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.claims: dict[str, str] = {}
        self.leases: dict[str, tuple[str, float]] = {}
        self.is_away = False

    def ping(self) -> None:
        if self.is_away:
            raise ServiceError("the fake store is away", code="job_store_unavailable")

    def add(self, job: Job) -> bool:
        self.ping()
        return self.jobs.setdefault(job.id, job) is job

    def get(self, job_id: str) -> Job:
        self.ping()
        if job_id not in self.jobs:
            raise JobError("no such job")
        return self.jobs[job_id]

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        self.jobs[job_id] = step(self.get(job_id))
        return self.jobs[job_id]

    def latest(self, limit: int) -> tuple[Job, ...]:
        return tuple(reversed(self._oldest_first()))[:limit]

    def unfinished(self) -> tuple[Job, ...]:
        return tuple(job for job in self._oldest_first() if not job.state.is_final)

    def finished_before(self, moment: datetime) -> tuple[Job, ...]:
        jobs = self._oldest_first()
        return tuple(job for job in jobs if job.state.is_final and job.updated_at < moment)

    def delete(self, job_id: str) -> None:
        self.ping()
        self.jobs.pop(job_id, None)

    def claim(self, key: str, job_id: str, *, instead_of: str | None = None) -> str:
        self.ping()
        if self.claims.get(key, instead_of) == instead_of:
            self.claims[key] = job_id
        return self.claims[key]

    def take_lease(self, name: str, token: str, seconds: float) -> bool:
        self.ping()
        return not self.has_lease(name) and self.renew_lease(name, token, seconds)

    def renew_lease(self, name: str, token: str, seconds: float) -> bool:
        self.ping()
        if self.has_lease(name) and self.leases[name][0] != token:
            return False
        self.leases[name] = (token, time.monotonic() + seconds)
        return True

    def release_lease(self, name: str, token: str) -> None:
        if self.leases.get(name, ("", 0.0))[0] == token:
            del self.leases[name]

    def has_lease(self, name: str) -> bool:
        self.ping()
        return name in self.leases and self.leases[name][1] > time.monotonic()

    def _oldest_first(self) -> list[Job]:
        self.ping()
        return sorted(self.jobs.values(), key=lambda job: job.created_at)


class FakeTaskQueue:
    """A TaskQueue that remembers what it was sent and delivers nothing."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.waiting = 0
        self.is_away = False

    def send(self, job_id: str) -> None:
        if self.is_away:
            raise ServiceError("the fake broker is away", code="broker_unavailable")
        self.sent.append(job_id)
        self.waiting += 1

    def depth(self) -> int:
        return self.waiting
