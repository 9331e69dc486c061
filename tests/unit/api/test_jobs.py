"""Status, waiting, events, cancelling and deleting."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.domain.jobs import JobFailure, JobState, Progress, Stage
from tests.builders.jobs import MIDNIGHT, Service, a_job, job_id

NEEDED = {"id", "state", "stage", "progress", "error", "links"}


def test_a_job_has_the_keys_of_the_contract(client: TestClient, service: Service) -> None:
    job = service.accepted()
    body = client.get(f"/v1/jobs/{job.id}").json()
    assert set(body) >= NEEDED
    assert body["id"] == job.id
    assert (body["state"], body["stage"], body["error"]) == ("accepted", None, None)
    assert body["progress"] == {"done": 0, "total": 0}
    assert body["links"]["result"] == f"/v1/jobs/{job.id}/result"


def test_a_failed_job_says_why(client: TestClient, service: Service) -> None:
    failure = JobFailure(code="no_dicom", detail="no DICOM file was found")
    service.jobs.add(a_job(1).moved_to(JobState.FAILED, MIDNIGHT, error=failure))
    body = client.get(f"/v1/jobs/{job_id(1)}").json()
    assert body["error"] == {"code": "no_dicom", "detail": "no DICOM file was found"}


def test_a_waiting_job_counts_the_unfinished_ones_before_it(
    client: TestClient, service: Service
) -> None:
    for number, state in ((1, JobState.FAILED), (2, JobState.RUNNING), (3, JobState.QUEUED)):
        service.jobs.add(a_job(number, state))
    service.jobs.add(a_job(4))
    assert client.get(f"/v1/jobs/{job_id(4)}").json()["queue_position"] == 2
    assert client.get(f"/v1/jobs/{job_id(2)}").json()["queue_position"] is None


def test_the_estimate_is_the_time_so_far_over_the_share_done(
    client: TestClient, service: Service
) -> None:
    job = a_job(0, JobState.RUNNING).at(Stage.PERIOSTEAL, Progress(done=1, total=4), MIDNIGHT)
    service.jobs.add(job)
    service.clock.now = MIDNIGHT + timedelta(seconds=10)
    assert client.get(f"/v1/jobs/{job.id}").json()["eta_seconds"] == 30.0


def test_jobs_are_listed_newest_first(client: TestClient, service: Service) -> None:
    for number in (1, 2, 3):
        service.jobs.add(a_job(number))
    jobs = client.get("/v1/jobs", params={"limit": 2}).json()["jobs"]
    assert [job["id"] for job in jobs] == [job_id(3), job_id(2)]


def test_an_unchanged_job_is_not_sent_again(client: TestClient, service: Service) -> None:
    job = service.accepted()
    etag = client.get(f"/v1/jobs/{job.id}").headers["ETag"]
    same = client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    for header in (f"W/{etag}", f'"other", {etag}'):
        told = client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": header})
        assert told.status_code == 304
    service.moved(job, JobState.QUEUED)
    assert client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": etag}).status_code == 200


def test_waiting_ends_with_the_change(client: TestClient, service: Service) -> None:
    job = service.accepted()
    timer = threading.Timer(0.3, lambda: service.moved(job, JobState.QUEUED))
    timer.start()
    started = time.monotonic()
    response = client.get(f"/v1/jobs/{job.id}", params={"wait": 30})
    timer.join()
    assert response.json()["state"] == "queued"
    assert time.monotonic() - started < 10


def test_waiting_ends_with_the_time(client: TestClient, service: Service) -> None:
    job = service.accepted()
    assert client.get(f"/v1/jobs/{job.id}", params={"wait": 0.3}).json()["state"] == "accepted"


def test_waiting_ends_with_the_server(app: FastAPI, client: TestClient, service: Service) -> None:
    job = service.accepted()
    timer = threading.Timer(0.3, app.state.stopping.set)
    timer.start()
    started = time.monotonic()
    response = client.get(f"/v1/jobs/{job.id}", params={"wait": 30})
    events = client.get(f"/v1/jobs/{job.id}/events")
    timer.join()
    assert (response.status_code, response.json()["state"]) == (200, "accepted")
    assert events.text.count("event: job") == 1
    assert time.monotonic() - started < 10


def test_nobody_waits_for_a_job_that_has_ended(client: TestClient, service: Service) -> None:
    service.jobs.add(a_job(1, JobState.FAILED))
    started = time.monotonic()
    client.get(f"/v1/jobs/{job_id(1)}", params={"wait": 30})
    assert time.monotonic() - started < 10


def test_events_tell_each_change_until_the_end(client: TestClient, service: Service) -> None:
    job = service.moved(service.accepted(), JobState.QUEUED)
    timer = threading.Timer(0.4, lambda: service.moved(job, JobState.CANCELLED))
    timer.start()
    with client.stream("GET", f"/v1/jobs/{job.id}/events") as response:
        lines = [line for line in response.iter_lines() if line]
    timer.join()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert [line for line in lines if line.startswith("event")] == ["event: job", "event: job"]
    states = [line.split('"state":"')[1].split('"')[0] for line in lines if "data" in line]
    assert states == ["queued", "cancelled"]


def test_deleting_a_job_that_waits_cancels_it(client: TestClient, service: Service) -> None:
    job = service.accepted()
    response = client.delete(f"/v1/jobs/{job.id}")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert service.objects.job(job.id).state is JobState.CANCELLED
    assert not [name for name in service.files() if name.endswith("upload.zip")]


def test_deleting_a_job_that_has_ended_removes_it(client: TestClient, service: Service) -> None:
    job = service.accepted()
    client.delete(f"/v1/jobs/{job.id}")
    assert client.delete(f"/v1/jobs/{job.id}").status_code == 204
    assert service.files() == []
    assert client.get(f"/v1/jobs/{job.id}").status_code == 404


def test_a_job_the_store_forgot_is_found_by_its_files(client: TestClient, service: Service) -> None:
    job = service.accepted()
    service.jobs.delete(job.id)
    assert client.get(f"/v1/jobs/{job.id}").json()["state"] == "accepted"


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("name", [job_id(9), "x", "%2e%2e", "%00"])
def test_an_unknown_job_is_not_found(client: TestClient, method: str, name: str) -> None:
    response = client.request(method, f"/v1/jobs/{name}")
    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")
