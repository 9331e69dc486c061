"""Celery's sending half: job ids onto the Redis list that workers read.

The names and the broker's configuration stand here, since the API sends with them and the worker
receives with them.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from service.errors import ServiceError

TASK_NAME = "femurct.analyse"
"""The one task; its only argument is the job id."""

QUEUE_NAME = "femurct"
"""The Redis list that holds requests."""

VISIBILITY_MARGIN_S = 600.0
"""A request counts as lost this long after the longest run; before that the reconciler acts."""

SEND_TIMEOUT_S = 5.0
"""A broker that does not answer for this long is unavailable."""


def broker_url(redis_url: str) -> str:
    """The address as kombu writes it: ``unix:///a?db=1`` is ``redis+socket:///a?virtual_host=1``."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def configure_broker(app: Celery, *, job_deadline_s: float) -> None:
    """Set what both ends of the queue must agree on."""
    app.conf.update(
        task_default_queue=QUEUE_NAME,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": job_deadline_s + VISIBILITY_MARGIN_S},
        # one list per queue, so that its length is the number of waiting requests
        broker_pool_limit=2,
    )


class CeleryTaskQueue:
    """A TaskQueue on Redis."""

    def __init__(self, redis_url: str, *, job_deadline_s: float) -> None:
        self._app = Celery("femurct", broker=broker_url(redis_url), set_as_current=False)
        configure_broker(self._app, job_deadline_s=job_deadline_s)
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=SEND_TIMEOUT_S, socket_connect_timeout=SEND_TIMEOUT_S
        )

    def send(self, job_id: str) -> None:
        """Ask for one run of a job.

        Raises:
            ServiceError: ``broker_unavailable``.
        """
        try:
            self._app.send_task(TASK_NAME, args=[job_id], queue=QUEUE_NAME, retry=False)
        except (OperationalError, redis.RedisError, OSError) as error:
            raise _unavailable() from error

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
        self._redis.close()

    def depth(self) -> int:
        """Requests that wait for a worker.

        Raises:
            ServiceError: ``broker_unavailable``.
        """
        try:
            return int(self._redis.llen(QUEUE_NAME))
        except (redis.RedisError, OSError) as error:
            raise _unavailable() from error


def _unavailable() -> ServiceError:
    return ServiceError(
        "the broker does not answer; check that Redis runs and REDIS_URL leads to it",
        code="broker_unavailable",
    )
