"""How long a run keeps its lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.worker.lease import LeaseKeeper
from service.worker.services import RunLimits
from tests.fakes import FakeJobStore


def limits(*, stall_s: float = 10.0, deadline_s: float = 10.0) -> RunLimits:
    return RunLimits(lease_s=0.1, stall_s=stall_s, deadline_s=deadline_s, max_tries=3)


def nothing() -> None:
    """Instead of ending the process."""


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5.0
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_a_run_that_gets_on_keeps_its_lease_longer_than_one_term() -> None:
    store = FakeJobStore()
    store.take_lease("job", "mine", 0.1)
    with LeaseKeeper(store, "job", "mine", limits(), nothing) as keeper:
        time.sleep(0.4)
        assert store.has_lease("job")
        assert not keeper.is_lost


def test_a_run_that_stalls_loses_its_lease() -> None:
    store = FakeJobStore()
    with LeaseKeeper(store, "job", "mine", limits(stall_s=0.05), nothing) as keeper:
        assert eventually(lambda: keeper.is_lost)
        assert eventually(lambda: not store.has_lease("job"))


def test_a_run_that_stalls_ends_its_process_once() -> None:
    ended = threading.Semaphore(0)
    with LeaseKeeper(FakeJobStore(), "job", "mine", limits(stall_s=0.05), ended.release):
        assert ended.acquire(timeout=5.0)
    assert not ended.acquire(blocking=False)


def test_a_run_whose_lease_is_lost_otherwise_does_not_end_its_process() -> None:
    store, ended = FakeJobStore(), threading.Semaphore(0)
    store.take_lease("job", "another", 60.0)
    with LeaseKeeper(store, "job", "mine", limits(), ended.release) as keeper:
        assert eventually(lambda: keeper.is_lost)
    with LeaseKeeper(FakeJobStore(), "job", "mine", limits(deadline_s=0.0), ended.release) as late:
        assert eventually(lambda: late.is_lost)
    assert not ended.acquire(blocking=False)


def test_no_lease_is_kept_beyond_the_deadline() -> None:
    store = FakeJobStore()
    with LeaseKeeper(store, "job", "mine", limits(deadline_s=0.05), nothing) as keeper:
        assert eventually(lambda: keeper.is_lost)
        assert keeper.is_overdue


def test_a_lease_somebody_else_took_is_lost() -> None:
    store = FakeJobStore()
    store.take_lease("job", "another", 60.0)
    with LeaseKeeper(store, "job", "mine", limits(), nothing) as keeper:
        assert eventually(lambda: keeper.is_lost)


def test_a_store_that_is_away_for_a_while_costs_no_lease() -> None:
    store = FakeJobStore()
    store.is_away = True
    with LeaseKeeper(store, "job", "mine", limits(), nothing) as keeper:
        time.sleep(0.1)
        store.is_away = False
        assert eventually(lambda: store.has_lease("job"))
        assert not keeper.is_lost
