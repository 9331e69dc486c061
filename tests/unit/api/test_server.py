"""The server around the app."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from service.api.server import serve
from tests.builders.jobs import Service


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C counts even where the suite was started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_a_server_told_to_stop_answers_who_waits_for_a_job(
    app: FastAPI, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    job = service.accepted()
    answers: list[httpx.Response] = []

    def visit(url: str) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            client.get("/v1/health/live")
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            answers.append(client.get(f"/v1/jobs/{job.id}", params={"wait": 30}))

    def visit_meanwhile(url: str) -> None:
        visitor.append(threading.Thread(target=visit, args=(url,)))
        visitor[0].start()

    visitor: list[threading.Thread] = []
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        serve(app, "127.0.0.1", 0, on_ready=visit_meanwhile)
    visitor[0].join()

    assert [answer.status_code for answer in answers] == [200]
    assert time.monotonic() - started < 10
    assert "Traceback" not in caplog.text
