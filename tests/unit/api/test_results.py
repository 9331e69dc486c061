"""Report, masks and files of a job that succeeded."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.domain.jobs import Job, JobState
from tests.builders.jobs import Service, a_job, job_id

REPORT = '{"schema": "femurct.report/1", "femurs": []}\n'
MASKS = '{"left_periosteal": {"shape_zyx": [1, 1, 2], "counts": [1, 1]}}'


@pytest.fixture
def done(service: Service) -> Job:
    job = service.moved(service.accepted(), JobState.QUEUED, JobState.RUNNING)

    def write(folder: Path) -> None:
        (folder / "report.json").write_text(REPORT)
        (folder / "masks_rle.json").write_text(MASKS)
        (folder / "left_periosteal.nii.gz").write_bytes(b"\x1f\x8b")

    service.objects.publish(job.id, write)
    return service.moved(job, JobState.SUCCEEDED)


def test_the_result_is_the_report_byte_for_byte(client: TestClient, done: Job) -> None:
    response = client.get(f"/v1/jobs/{done.id}/result")
    assert response.headers["Content-Type"] == "application/json"
    assert response.text == REPORT


def test_masks_are_put_into_the_report_when_asked_for(client: TestClient, done: Job) -> None:
    body = client.get(f"/v1/jobs/{done.id}/result", params={"masks": "rle"}).json()
    assert body["schema"] == "femurct.report/1"
    assert body["masks"] == {"left_periosteal": {"shape_zyx": [1, 1, 2], "counts": [1, 1]}}


def test_artifacts_are_listed_and_served_by_their_file_names(client: TestClient, done: Job) -> None:
    listed = client.get(f"/v1/jobs/{done.id}/artifacts").json()["artifacts"]
    names = ["left_periosteal.nii.gz", "masks_rle.json", "report.json"]
    assert [artifact["name"] for artifact in listed] == names
    served = client.get(listed[0]["href"])
    assert (served.content, served.headers["Content-Type"]) == (b"\x1f\x8b", "application/gzip")
    assert listed[0]["size_bytes"] == 2


@pytest.mark.parametrize(
    "name", ["other.nii.gz", "..%2frequest.json", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd"]
)
def test_nothing_but_the_results_files_is_served(client: TestClient, done: Job, name: str) -> None:
    response = client.get(f"/v1/jobs/{done.id}/artifacts/{name}")
    assert response.status_code == 404
    assert response.json()["code"] in ("artifact_not_found", "not_found", "job_not_found")


@pytest.mark.parametrize("path", ["result", "artifacts", "artifacts/report.json"])
@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.FAILED])
def test_a_job_without_a_result_says_so(
    client: TestClient, service: Service, path: str, state: JobState
) -> None:
    service.jobs.add(a_job(5, state))
    response = client.get(f"/v1/jobs/{job_id(5)}/{path}")
    assert (response.status_code, response.json()["code"]) == (409, "result_not_ready")


def test_an_expired_result_is_gone(client: TestClient, service: Service, done: Job) -> None:
    service.moved(done, JobState.EXPIRED)
    response = client.get(f"/v1/jobs/{done.id}/result")
    assert (response.status_code, response.json()["code"]) == (410, "job_expired")


@pytest.mark.parametrize("path", ["result", "artifacts", "artifacts/report.json"])
@pytest.mark.parametrize(
    ("expires", "answer"), [(False, (404, "job_not_found")), (True, (410, "job_expired"))]
)
def test_a_result_removed_while_it_is_read_is_answered_as_removed_before(
    client: TestClient,
    service: Service,
    done: Job,
    monkeypatch: pytest.MonkeyPatch,
    *,
    path: str,
    expires: bool,
    answer: tuple[int, str],
) -> None:
    find = service.objects.result_path

    def found_then_removed(job_id: str, name: str) -> Path:
        found = find(job_id, name)
        service.objects.delete(job_id)
        if expires:
            service.moved(done, JobState.EXPIRED)
        return found

    monkeypatch.setattr(service.objects, "result_path", found_then_removed)
    response = client.get(f"/v1/jobs/{done.id}/{path}")
    assert (response.status_code, response.json()["code"]) == answer
