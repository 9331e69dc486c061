"""Several jobs' reports as one CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.domain.findings import FemurSide
from service.domain.jobs import Job, JobState
from tests.builders.analyses import analysis, axial_geometry
from tests.builders.jobs import Service, a_job, job_id

BOTH = analysis(axial_geometry(), *FemurSide).report


@pytest.fixture
def done(service: Service) -> Job:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)

    def write(folder: Path) -> None:
        (folder / "report.json").write_text(BOTH.model_dump_json(by_alias=True), "utf-8")

    service.objects.publish(job.id, write)
    return service.moved(job, JobState.SUCCEEDED)


def test_a_row_per_femur_under_the_jobs_id(client: TestClient, done: Job) -> None:
    response = client.get("/v1/table.csv", params={"job": [done.id, done.id]})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert [(row["result"], row["side"]) for row in rows] == [
        (done.id, "left"),
        (done.id, "right"),
    ] * 2


def test_a_job_without_a_result_is_refused(client: TestClient, service: Service, done: Job) -> None:
    service.jobs.add(a_job(5, JobState.RUNNING))
    response = client.get("/v1/table.csv", params={"job": [done.id, job_id(5)]})
    assert (response.status_code, response.json()["code"]) == (409, "result_not_ready")


def test_an_unknown_job_is_not_found(client: TestClient) -> None:
    response = client.get("/v1/table.csv", params={"job": job_id(7)})
    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_at_least_one_job_must_be_named(client: TestClient) -> None:
    response = client.get("/v1/table.csv")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
