"""The whole service: real broker, real worker, real API over HTTP, and a tiny analysis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from service.adapters.embedded_redis import embedded_redis

ROOT = Path(__file__).parents[2]
ZIP = {"Content-Type": "application/zip"}
PATIENCE_S = 90.0
"""Processes start slowly on a busy machine."""


class Running:
    """The service's processes and a client that speaks to them."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self.redis_url = redis_url
        self.environment = {
            **os.environ,
            "REDIS_URL": redis_url,
            "FEMURCT_DATA_DIR": str(folder),
            "FEMURCT_WEIGHTS_DIR": str(folder),
            "FEMURCT_PORT": "0",
            "FEMURCT_LEASE_S": "2",
            "FEMURCT_STALL_LIMIT_S": "10",
            "FEMURCT_RECONCILE_INTERVAL_S": "0.5",
            "FEMURCT_MAX_UPLOAD_BYTES": "1000000",
        }
        self.log = (folder / "worker.log").open("ab")
        self.worker = self.start_worker()
        self.api = self._start("tests.integration.tiny_api", stdout=subprocess.PIPE)
        assert self.api.stdout is not None
        self.client = httpx.Client(base_url=self.api.stdout.readline().decode().strip(), timeout=90)

    def _start(self, module: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", module],
            env=self.environment,
            cwd=ROOT,
            stdout=stdout or self.log,
            stderr=self.log,
        )

    def start_worker(self) -> subprocess.Popen[bytes]:
        self.worker = self._start("tests.integration.tiny_worker")
        return self.worker

    def stop(self) -> None:
        self.client.close()
        for process in (self.api, self.worker):
            process.terminate()
        for process in (self.api, self.worker):
            process.wait(30)
        if self.api.stdout is not None:
            self.api.stdout.close()
        self.log.close()

    def send(self, content: str) -> str:
        response = self.client.post("/v1/jobs", content=content.encode(), headers=ZIP)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def job(self, job_id: str) -> dict[str, object]:
        response = self.client.get(f"/v1/jobs/{job_id}")
        body: dict[str, object] = response.json()
        return body

    def wait(self, job_id: str, until: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            job = self.job(job_id)
            if until(job):
                return job
            time.sleep(0.1)
        pytest.fail(f"{self.job(job_id)}\n{(self.folder / 'worker.log').read_text()[-3000:]}")

    def ended(self, job_id: str) -> dict[str, object]:
        return self.wait(job_id, lambda job: job["state"] in ("succeeded", "failed", "cancelled"))

    def running(self, job_id: str) -> dict[str, object]:
        return self.wait(job_id, lambda job: job["stage"] == "periosteal")


@contextmanager
def running_service(folder: Path) -> Iterator[Running]:
    with embedded_redis(folder / "broker") as url:
        service = Running(folder, url)
        try:
            yield service
        finally:
            service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_a_job_runs_to_its_result(service: Running) -> None:
    job_id = service.send("3")
    assert service.ended(job_id)["state"] == "succeeded"
    result = service.client.get(f"/v1/jobs/{job_id}/result", params={"masks": "rle"}).json()
    assert result == {"schema": "femurct.report/1", "masks": {}}
    assert service.client.get(f"/v1/jobs/{job_id}/artifacts/report.json").status_code == 200


def test_two_jobs_at_once_both_finish(service: Running) -> None:
    ids = [service.send("4"), service.send("5")]
    assert [service.ended(job_id)["state"] for job_id in ids] == ["succeeded", "succeeded"]


def test_errors_reach_the_client_and_the_service_goes_on(service: Running) -> None:
    refused, crashed = service.ended(service.send("refuse")), service.ended(service.send("crash"))
    assert refused["error"] == {"code": "not_a_zip", "detail": "the upload is no zip archive"}
    assert crashed["state"] == "failed"
    assert "internal_error" in str(crashed["error"])
    assert "DOE" not in str(crashed) + (service.folder / "worker.log").read_text()
    assert service.ended(service.send("1"))["state"] == "succeeded"


def test_a_running_job_is_cancelled_between_windows(service: Running) -> None:
    job_id = service.send("600")
    service.running(job_id)
    assert service.client.delete(f"/v1/jobs/{job_id}").json()["state"] == "cancelled"
    assert service.ended(service.send("2"))["state"] == "succeeded"
    assert service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert not (service.folder / "jobs" / job_id).exists()


def test_a_pool_process_that_dies_costs_a_try_and_not_the_job(service: Running) -> None:
    job = service.ended(service.send(f"die {service.folder / 'died'}"))
    assert (job["state"], job["tries"]) == ("succeeded", 2)


def test_a_run_that_hangs_is_ended_and_holds_up_nobody(service: Running) -> None:
    hangs, next_one = service.send(f"hang {service.folder / 'hung'}"), service.send("8")
    assert service.ended(next_one)["state"] == "succeeded"
    job = service.ended(hangs)
    assert (job["state"], job["tries"]) == ("succeeded", 2)


def test_a_worker_killed_in_mid_job_finishes_it_when_started_again(service: Running) -> None:
    job_id = service.send("40")
    service.running(job_id)
    service.worker.send_signal(signal.SIGKILL)
    service.worker.wait()
    service.start_worker()
    job = service.ended(job_id)
    assert (job["state"], job["tries"]) == ("succeeded", 2)


def test_a_worker_told_to_stop_gives_its_job_back_without_a_try(service: Running) -> None:
    job_id = service.send("41")
    service.running(job_id)
    service.worker.terminate()
    assert service.worker.wait(30) == 0
    waiting = service.job(job_id)
    assert (waiting["state"], waiting["tries"]) == ("queued", 0)
    service.start_worker()
    job = service.ended(job_id)
    assert (job["state"], job["tries"]) == ("succeeded", 1)


def test_an_emptied_broker_loses_no_job(service: Running) -> None:
    done = service.send("6")
    service.ended(done)
    service.worker.terminate()
    service.worker.wait(30)
    waits = service.send("7")
    with redis.Redis.from_url(service.redis_url) as client:
        client.flushall()
    service.start_worker()
    assert service.job(done)["state"] == "succeeded"
    assert service.ended(waits)["state"] == "succeeded"


def test_an_upload_over_the_limit_without_a_length_leaves_nothing(service: Running) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 65536

    try:
        response = service.client.post("/v1/jobs", content=pieces(), headers=ZIP)
        assert response.status_code == 413
    except httpx.WriteError:  # the server answered and closed before everything was sent
        pass
    assert list((service.folder / "incoming").iterdir()) == []


def test_nothing_half_written_is_left(service: Running) -> None:
    assert list((service.folder / "incoming").iterdir()) == []
    uploads = list((service.folder / "jobs").rglob("upload.zip"))
    assert uploads == []
