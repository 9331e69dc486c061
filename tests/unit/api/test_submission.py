"""The same request, or the same input, leads to the same job."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from service.adapters.object_store import FileUpload
from service.api import submission
from service.domain.jobs import Job, JobOptions, JobState
from tests.builders.jobs import Service, job_id

ZIP = {"Content-Type": "application/zip"}


def send(service: Service, key: str | None = None) -> tuple[Job, bool]:
    with service.objects.receive() as upload:
        upload.write(b"PK")
        return submission.submit(upload, JobOptions(), key, service.api())


def test_an_identical_upload_shares_the_run(client: TestClient, service: Service) -> None:
    first = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    second = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    assert len(service.queue.sent) == 1
    other = client.post("/v1/jobs", content=b"PK", headers=ZIP, params={"stride": 1})
    assert other.status_code == 202


@pytest.mark.parametrize("state", submission._WITHOUT_RESULT)
def test_an_identical_upload_of_a_job_without_result_is_run_again(
    client: TestClient, service: Service, state: JobState
) -> None:
    first = client.post("/v1/jobs", content=b"PK", headers=ZIP).json()["id"]
    job = service.jobs.get(first)
    final = JobState.FAILED if state is JobState.EXPIRED else state
    service.moved(job, final, *([state] if state is not final else []))
    second = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    assert (second.status_code, second.json()["id"] == first) == (202, False)
    third = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    assert third.json()["id"] == second.json()["id"]


def test_an_identical_upload_of_a_deleted_job_is_run_again(
    client: TestClient, service: Service
) -> None:
    first = client.post("/v1/jobs", content=b"PK", headers=ZIP).json()["id"]
    for _ in range(2):
        client.delete(f"/v1/jobs/{first}")
    assert client.post("/v1/jobs", content=b"PK", headers=ZIP).status_code == 202


def test_an_idempotency_key_leads_to_its_job_even_when_that_failed(
    client: TestClient, service: Service
) -> None:
    headers = {**ZIP, "Idempotency-Key": "a"}
    first = client.post("/v1/jobs", content=b"PK", headers=headers).json()["id"]
    service.moved(service.jobs.get(first), JobState.FAILED)
    again = client.post("/v1/jobs", content=b"PK", headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first)


def test_an_idempotency_key_with_another_body_conflicts(
    client: TestClient, service: Service
) -> None:
    headers = {**ZIP, "Idempotency-Key": "a"}
    client.post("/v1/jobs", content=b"PK", headers=headers)
    before = service.files()
    response = client.post("/v1/jobs", content=b"other", headers=headers)
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_reused")
    assert service.files() == before


@pytest.mark.parametrize("key", [None, "a"])
def test_a_request_that_comes_while_its_twin_is_made_durable_shares_its_job(
    service: Service, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    accept, syncing, synced = FileUpload.accept, threading.Event(), threading.Event()

    def accept_slowly(upload: FileUpload, job: Job) -> None:
        syncing.set()
        assert synced.wait(10)
        accept(upload, job)

    monkeypatch.setattr(FileUpload, "accept", accept_slowly)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(send, service, key)
        assert syncing.wait(10)
        second = pool.submit(send, service, key)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        synced.set()
        (job, is_new), (again, is_new_again) = first.result(10), second.result(10)
    assert (is_new, is_new_again) == (True, False)
    assert again.id == job.id


def test_a_name_held_by_a_job_that_never_arrived_is_taken_over(
    client: TestClient, service: Service
) -> None:
    """Its lease lapsed: the process that received it died."""
    service.jobs.claim("key:" + hashlib.sha256(b"a").hexdigest(), job_id(9))
    headers = {**ZIP, "Idempotency-Key": "a"}
    assert client.post("/v1/jobs", content=b"PK", headers=headers).status_code == 202


def test_an_idempotency_key_is_kept_nowhere(client: TestClient, service: Service) -> None:
    """A hospital may use its accession number."""
    headers = {**ZIP, "Idempotency-Key": "ACC-1234"}
    sent = client.post("/v1/jobs", content=b"PK", headers=headers).json()["id"]
    client.delete(f"/v1/jobs/{sent}")
    kept = [path.read_text() for path in service.folder.rglob("*.json")]
    assert len(kept) == 2, "request.json and outcome.json"
    records = [job.model_dump_json() for job in service.jobs.jobs.values()]
    assert "ACC-1234" not in "".join([*kept, *records, *service.jobs.claims])


def test_a_key_of_a_shared_run_leads_to_it_even_when_that_fails_later(
    client: TestClient, service: Service
) -> None:
    first = client.post("/v1/jobs", content=b"PK", headers=ZIP).json()["id"]
    headers = {**ZIP, "Idempotency-Key": "a"}
    assert client.post("/v1/jobs", content=b"PK", headers=headers).json()["id"] == first
    service.moved(service.jobs.get(first), JobState.FAILED)
    assert client.post("/v1/jobs", content=b"PK", headers=headers).json()["id"] == first


def test_a_job_that_is_durable_is_accepted_although_the_store_goes_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = FileUpload.accept

    def accept_then_lose_the_store(upload: FileUpload, job: Job) -> None:
        accept(upload, job)
        service.jobs.is_away = True

    monkeypatch.setattr(FileUpload, "accept", accept_then_lose_the_store)
    monkeypatch.setattr(service.jobs, "release_lease", lambda *_: service.jobs.ping())
    job, is_new = send(service)
    assert is_new
    assert service.objects.upload_path(job.id).exists()
