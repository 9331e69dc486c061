"""A pool process says that it lives once it could run a job."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service.domain.ports import WORKER_ALIVE, JobStore
from service.errors import ModelError
from service.worker import pool_process
from tests.builders.jobs import Service
from tests.fakes import FakeJobStore


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released when a process begins to say that it lives."""
    begun = threading.Semaphore(0)

    def keep_alive(_jobs: JobStore, _ended: threading.Event) -> None:
        begun.release()

    monkeypatch.setattr(pool_process, "keep_alive", keep_alive)
    return begun


def test_the_networks_are_loaded_before_a_process_says_that_it_lives(
    tmp_path: Path, said: threading.Semaphore
) -> None:
    before: list[bool] = []
    service = Service(tmp_path, prepare=lambda: before.append(said.acquire(blocking=False)))
    pool_process.begin(service.worker())
    assert said.acquire(timeout=5.0)
    assert before == [False]


def test_a_process_without_networks_is_not_ready_and_says_why(
    tmp_path: Path, said: threading.Semaphore, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ModelError("periosteal.onnx is missing")

    pool_process.begin(Service(tmp_path, prepare=fail).worker())
    assert not said.acquire(timeout=0.2)
    assert "not ready: model_unusable: periosteal.onnx is missing" in caplog.text


def test_who_lives_holds_the_lease_and_outlasts_a_store_that_is_away() -> None:
    store, ended = FakeJobStore(), threading.Event()
    ended.set()
    store.is_away = True
    pool_process.keep_alive(store, ended)
    store.is_away = False
    pool_process.keep_alive(store, ended)
    assert store.has_lease(WORKER_ALIVE)
