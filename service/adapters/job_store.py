"""Job records and leases in Redis.

femurct:job:ID        hash: version, json
femurct:newest        sorted set of ids by time of creation
femurct:unfinished    the same, of jobs that are accepted, queued or running
femurct:finished      sorted set of ids by time of the last change, of jobs in a final state
femurct:claim:KEY     id of the job a fingerprint or an idempotency key stands for
femurct:lease:NAME    token of the holder; Redis lets it lapse
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

import redis

from service.domain.jobs import Job
from service.errors import JobError, ServiceError

PREFIX = "femurct:"

TIMEOUT_S = 5.0
"""A Redis that does not answer for this long is unavailable."""

_WRITE = """
local key, newest, unfinished, finished = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, version, json = ARGV[1], ARGV[2], ARGV[3]
local expected, created, updated, final = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if (redis.call('HGET', key, 'version') or '') ~= expected then return 0 end
redis.call('HSET', key, 'version', version, 'json', json)
redis.call('ZADD', newest, created, id)
if final == '1' then
  redis.call('ZREM', unfinished, id)
  redis.call('ZADD', finished, updated, id)
else
  redis.call('ZADD', unfinished, created, id)
end
return 1
"""
"""Compare the version, then set the record and its places in the indexes, in one step."""

_CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return ARGV[1]
"""

_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

T = TypeVar("T")


class RedisJobStore:
    """A JobStore on Redis.

    Args:
        redis_url: redis://, rediss:// or unix:// address.
        claim_s: how long a claimed key stands for its job, in seconds.
    """

    def __init__(self, redis_url: str, *, claim_s: float) -> None:
        self._redis = redis.Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            health_check_interval=30,
        )
        self._claim_s = max(1, int(claim_s))
        self._write = self._redis.register_script(_WRITE)
        self._claim = self._redis.register_script(_CLAIM)
        self._renew = self._redis.register_script(_RENEW)
        self._release = self._redis.register_script(_RELEASE)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def ping(self) -> None:
        """Return if Redis answers."""
        _asked(self._redis.ping)

    def add(self, job: Job) -> bool:
        """Record a new job; false, and nothing changes, where it is recorded already."""
        return self._put(job, expected="")

    def get(self, job_id: str) -> Job:
        """The job.

        Raises:
            JobError: ``job_not_found``.
        """
        text = _asked(lambda: self._redis.hget(_job(job_id), "json"))
        if text is None:
            raise JobError(f"there is no job {job_id}; it may have been deleted")
        return Job.model_validate_json(str(text))

    def change(self, job_id: str, step: Callable[[Job], Job]) -> Job:
        """Compare-and-set: record ``step(job)``, asking again when another change came first."""
        while True:
            before = self.get(job_id)
            after = step(before)
            if self._put(after, expected=str(before.version)):
                return after

    def latest(self, limit: int) -> tuple[Job, ...]:
        """The newest jobs, newest first."""
        return self._jobs(_asked(lambda: self._redis.zrevrange(f"{PREFIX}newest", 0, limit - 1)))

    def unfinished(self) -> tuple[Job, ...]:
        """Jobs that are accepted, queued or running, oldest first."""
        return self._jobs(_asked(lambda: self._redis.zrange(f"{PREFIX}unfinished", 0, -1)))

    def finished_before(self, moment: datetime) -> tuple[Job, ...]:
        """Jobs in a final state since before this moment."""
        return self._jobs(
            _asked(
                lambda: self._redis.zrangebyscore(f"{PREFIX}finished", 0, f"({moment.timestamp()}")
            )
        )

    def delete(self, job_id: str) -> None:
        """Forget the job."""

        def forget() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(_job(job_id))
                for index in ("newest", "unfinished", "finished"):
                    pipe.zrem(f"{PREFIX}{index}", job_id)
                pipe.execute()

        _asked(forget)

    def claim(self, key: str, job_id: str, *, instead_of: str | None = None) -> str:
        """Let a key stand for a job; returns the job it stands for now."""
        arguments: list[str | float] = [job_id, instead_of or job_id, self._claim_s]
        return str(_asked(lambda: self._claim(keys=[f"{PREFIX}claim:{key}"], args=arguments)))

    def take_lease(self, name: str, token: str, seconds: float) -> bool:
        """Take the right to run a job (or a role) unless somebody holds it."""
        return bool(
            _asked(lambda: self._redis.set(_lease(name), token, nx=True, px=int(seconds * 1000)))
        )

    def renew_lease(self, name: str, token: str, seconds: float) -> bool:
        """Keep it, or take it again where it lapsed; false when it is somebody else's."""
        arguments: list[str | float] = [token, int(seconds * 1000)]
        return bool(_asked(lambda: self._renew(keys=[_lease(name)], args=arguments)))

    def release_lease(self, name: str, token: str) -> None:
        """Give it back, if it is still ours."""
        _asked(lambda: self._release(keys=[_lease(name)], args=[token]))

    def has_lease(self, name: str) -> bool:
        """Whether somebody holds it."""
        return bool(_asked(lambda: self._redis.exists(_lease(name))))

    def _put(self, job: Job, *, expected: str) -> bool:
        keys = [_job(job.id)] + [f"{PREFIX}{name}" for name in ("newest", "unfinished", "finished")]
        arguments: list[str | float] = [
            job.id,
            str(job.version),
            job.model_dump_json(),
            expected,
            job.created_at.timestamp(),
            job.updated_at.timestamp(),
            str(int(job.state.is_final)),
        ]
        return bool(_asked(lambda: self._write(keys=keys, args=arguments)))

    def _jobs(self, ids: Iterable[object]) -> tuple[Job, ...]:
        def read() -> list[str | None]:
            with self._redis.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.hget(_job(str(job_id)), "json")
                return list(pipe.execute())

        return tuple(Job.model_validate_json(text) for text in _asked(read) if text is not None)


def _job(job_id: str) -> str:
    return f"{PREFIX}job:{job_id}"


def _lease(name: str) -> str:
    return f"{PREFIX}lease:{name}"


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except (redis.RedisError, OSError) as error:
        raise ServiceError(
            "the job store does not answer; check that Redis runs and REDIS_URL leads to it",
            code="job_store_unavailable",
        ) from error
