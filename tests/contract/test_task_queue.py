"""What every TaskQueue does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.adapters.embedded_redis import embedded_redis
from service.adapters.task_queue import CeleryTaskQueue, broker_url
from service.domain.ports import TaskQueue
from service.errors import ServiceError
from tests.builders.jobs import job_id
from tests.fakes import FakeTaskQueue


@pytest.fixture(params=["fake", "celery"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TaskQueue]:
    if request.param == "fake":
        yield FakeTaskQueue()
        return
    with embedded_redis(tmp_path / "broker") as url:
        celery_queue = CeleryTaskQueue(url, job_deadline_s=60.0)
        yield celery_queue
        celery_queue.close()


def test_an_empty_queue_has_no_depth(queue: TaskQueue) -> None:
    assert queue.depth() == 0


def test_each_request_adds_to_the_depth(queue: TaskQueue) -> None:
    for number in (1, 2, 2):
        queue.send(job_id(number))
    assert queue.depth() == 3


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    queue = CeleryTaskQueue(f"unix://{tmp_path}/nothing.sock", job_deadline_s=60.0)
    for call in (lambda: queue.send(job_id(1)), queue.depth):
        with pytest.raises(ServiceError) as caught:
            call()
        assert caught.value.code == "broker_unavailable"
    queue.close()


def test_a_unix_address_is_written_as_kombu_reads_it() -> None:
    assert broker_url("unix:///a/b.sock?db=2") == "redis+socket:///a/b.sock?virtual_host=2"
    assert broker_url("unix:///a/b.sock") == "redis+socket:///a/b.sock?virtual_host=0"
    assert broker_url("redis://host:6379/1") == "redis://host:6379/1"
