"""Counters for Prometheus, one registry per app."""

from __future__ import annotations

from collections import Counter as Tally

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from service.api.dependencies import ApiServices
from service.domain.jobs import JobState
from service.domain.ports import WORKER_ALIVE
from service.errors import ServiceError


class Metrics:
    """What the API counts; gauges are asked for when Prometheus asks."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "femurct_http_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "femurct_http_request_seconds",
            "Time to the first byte of the answer",
            ("route",),
            registry=self._registry,
        )
        self._jobs = Gauge(
            "femurct_unfinished_jobs", "Jobs not finished", ("state",), registry=self._registry
        )
        self._depth = Gauge(
            "femurct_queue_depth", "Requests that wait for a worker", registry=self._registry
        )
        self._worker = Gauge(
            "femurct_worker_alive", "1 while a worker is ready", registry=self._registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``route`` is the pattern, not the path."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, services: ApiServices) -> bytes:
        """Everything, in Prometheus' text format; gauges keep their last value without Redis."""
        try:
            states = Tally(job.state for job in services.jobs.unfinished())
            self._depth.set(services.queue.depth())
            self._worker.set(int(services.jobs.has_lease(WORKER_ALIVE)))
        except ServiceError:
            return generate_latest(self._registry)
        for state in JobState:
            if not state.is_final:
                self._jobs.labels(state.value).set(states[state])
        return generate_latest(self._registry)
