"""What every JobStore does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.adapters.embedded_redis import embedded_redis
from service.adapters.job_store import RedisJobStore
from service.domain.jobs import JobState, Progress, Stage
from service.domain.ports import JobStore
from service.errors import JobError
from tests.builders.jobs import MIDNIGHT, a_job, job_id
from tests.fakes import FakeJobStore


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("broker")
    with embedded_redis(folder) as url:
        yield url


@pytest.fixture(params=["fake", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[JobStore]:
    if request.param == "fake":
        yield FakeJobStore()
        return
    redis_store = RedisJobStore(request.getfixturevalue("redis_url"), claim_s=60.0)
    redis_store._redis.flushall()
    yield redis_store
    redis_store.close()


def test_a_recorded_job_is_read_back_equal(store: JobStore) -> None:
    job = a_job(1, JobState.RUNNING).at(Stage.CROP, Progress(done=1, total=2), MIDNIGHT)
    assert store.add(job)
    assert store.get(job.id) == job


def test_adding_a_job_again_changes_nothing(store: JobStore) -> None:
    store.add(a_job(1, JobState.QUEUED))
    assert not store.add(a_job(1))
    assert store.get(job_id(1)).state is JobState.QUEUED


def test_an_unknown_job_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobError) as caught:
        store.get(job_id(9))
    assert caught.value.code == "job_not_found"


def test_a_change_is_recorded_and_returned(store: JobStore) -> None:
    store.add(a_job(1))
    changed = store.change(job_id(1), lambda job: job.moved_to(JobState.QUEUED, MIDNIGHT))
    assert changed.state is JobState.QUEUED
    assert store.get(job_id(1)) == changed


def test_a_step_that_raises_changes_nothing(store: JobStore) -> None:
    store.add(a_job(1))
    with pytest.raises(JobError) as caught:
        store.change(job_id(1), lambda job: job.moved_to(JobState.SUCCEEDED, MIDNIGHT))
    assert caught.value.code == "job_state"
    assert store.get(job_id(1)) == a_job(1)


def test_changes_at_once_all_count(redis_url: str) -> None:
    store = RedisJobStore(redis_url, claim_s=60.0)
    store._redis.flushall()
    store.add(a_job(1))

    def touch_ten_times() -> None:
        for _ in range(10):
            store.change(job_id(1), lambda job: job.touched(MIDNIGHT))

    threads = [threading.Thread(target=touch_ten_times) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(job_id(1)).version == 40
    store.close()


def test_latest_is_newest_first_and_limited(store: JobStore) -> None:
    for number in (2, 1, 3):
        store.add(a_job(number))
    assert [job.id for job in store.latest(2)] == [job_id(3), job_id(2)]


def test_unfinished_is_oldest_first_without_final_states(store: JobStore) -> None:
    for number, state in ((3, JobState.QUEUED), (1, JobState.RUNNING), (2, JobState.FAILED)):
        store.add(a_job(number, state))
    assert [job.id for job in store.unfinished()] == [job_id(1), job_id(3)]


def test_a_job_that_ends_is_no_longer_unfinished(store: JobStore) -> None:
    store.add(a_job(1))
    store.change(job_id(1), lambda job: job.moved_to(JobState.CANCELLED, MIDNIGHT))
    assert store.unfinished() == ()


def test_finished_before_takes_jobs_by_the_time_they_ended(store: JobStore) -> None:
    for number in (1, 2, 3):
        store.add(a_job(number, JobState.FAILED))
    found = store.finished_before(MIDNIGHT + timedelta(seconds=3))
    assert [job.id for job in found] == [job_id(1), job_id(2)]


def test_a_deleted_job_is_nowhere(store: JobStore) -> None:
    store.add(a_job(1))
    store.delete(job_id(1))
    assert (store.latest(9), store.unfinished()) == ((), ())
    with pytest.raises(JobError):
        store.get(job_id(1))


def test_a_key_stands_for_the_first_job_that_claims_it(store: JobStore) -> None:
    assert store.claim("key", job_id(1)) == job_id(1)
    assert store.claim("key", job_id(2)) == job_id(1)


def test_a_key_is_taken_over_from_the_named_job_only(store: JobStore) -> None:
    store.claim("key", job_id(1))
    assert store.claim("key", job_id(3), instead_of=job_id(2)) == job_id(1)
    assert store.claim("key", job_id(3), instead_of=job_id(1)) == job_id(3)


def test_a_lease_has_one_holder(store: JobStore) -> None:
    assert store.take_lease("job", "mine", 60.0)
    assert not store.take_lease("job", "yours", 60.0)
    assert not store.renew_lease("job", "yours", 60.0)
    assert store.renew_lease("job", "mine", 60.0)


def test_only_its_holder_releases_a_lease(store: JobStore) -> None:
    store.take_lease("job", "mine", 60.0)
    store.release_lease("job", "yours")
    assert store.has_lease("job")
    store.release_lease("job", "mine")
    assert not store.has_lease("job")


def test_a_lease_lapses_and_its_holder_may_take_it_again(store: JobStore) -> None:
    store.take_lease("job", "mine", 0.05)
    time.sleep(0.1)
    assert not store.has_lease("job")
    assert store.renew_lease("job", "mine", 60.0)
    assert store.has_lease("job")
