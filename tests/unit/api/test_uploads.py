"""What is refused, when, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from service.api import uploads
from service.api.app import create_app
from service.domain.calibration import Calibration
from tests.builders.jobs import Service, a_job

ZIP = {"Content-Type": "application/zip"}
LIMIT = 1000
"""Bytes; of Service.api()."""


def pieces(total: int) -> Iterator[bytes]:
    for _ in range(total // 100):
        yield b"x" * 100


def code(response: object) -> tuple[int, str]:
    return response.status_code, response.json()["code"]  # type: ignore[attr-defined]


def test_a_raw_zip_becomes_a_queued_job(client: TestClient, service: Service) -> None:
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    body = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/jobs/{body['id']}"
    assert response.headers["Retry-After"] == "2"
    assert body["state"] == "queued"
    assert service.queue.sent == [body["id"]]
    assert service.objects.upload_path(body["id"]).read_bytes() == b"PK"
    job = service.objects.job(body["id"])
    assert job.input_sha256 == hashlib.sha256(b"PK").hexdigest()


def test_a_multipart_file_is_the_same_upload(client: TestClient, service: Service) -> None:
    content = bytes(range(256)) * 3
    response = client.post("/v1/jobs", files={"file": ("Doe^Jane.zip", content)})
    assert response.status_code == 202
    assert service.objects.upload_path(response.json()["id"]).read_bytes() == content


def test_options_reach_the_job(client: TestClient, service: Service) -> None:
    query = {
        "stride": 4,
        "series_instance_uid": "1.2.3",
        "expected_instances": 250,
        "resample_gaps": "true",
    }
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP, params=query)
    options = service.objects.job(response.json()["id"]).options
    assert (options.stride_z, options.series_instance_uid) == (4, "1.2.3")
    assert (options.expected_instances, options.resample_gaps) == (250, True)
    assert options.calibration is None


def test_a_calibration_reaches_the_job_as_json(client: TestClient, service: Service) -> None:
    line = Calibration(slope=0.86, intercept=-2.1, unit="mg/cm3 HA", method="asynchronous")
    query = {"calibration": line.model_dump_json()}
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP, params=query)
    assert response.status_code == 202
    assert service.objects.job(response.json()["id"]).options.calibration == line


@pytest.mark.parametrize(
    "calibration",
    [
        "0.86",
        "{",
        '{"slope": 0.86}',
        '{"slope":-1,"intercept":0,"unit":"mg/cm3","method":"internal"}',
    ],
)
def test_a_calibration_that_is_none_is_an_invalid_request(
    client: TestClient, service: Service, calibration: str
) -> None:
    query = {"calibration": calibration}
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP, params=query)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert service.files() == []


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 100])
def test_a_body_without_a_length_is_limited_while_it_comes(
    client: TestClient, service: Service, size: int
) -> None:
    response = client.post("/v1/jobs", content=pieces(size), headers=ZIP)
    assert (response.status_code == 413) is (size > LIMIT)
    assert (service.files() == []) is (size > LIMIT)


def test_a_declared_length_over_the_limit_is_refused_unread(service: Service) -> None:
    received, response = post_watching_the_body(service, {"content-length": str(LIMIT + 1)})
    assert (received, response) == (0, 413)


def test_a_request_without_a_key_is_refused_unread(service: Service) -> None:
    received, response = post_watching_the_body(service, {}, api_keys=("secret",))
    assert (received, response) == (0, 401)


def post_watching_the_body(
    service: Service, headers: dict[str, str], *, api_keys: tuple[str, ...] = ()
) -> tuple[int, int]:
    """How often the app asked for the body, and the status it answered."""
    app = create_app(service.api(api_keys=api_keys))
    reads, statuses = [], []

    async def receive() -> dict[str, object]:
        reads.append(1)
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    given = {"content-type": "application/zip", **headers}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/jobs",
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
    }
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return len(reads), int(str(statuses[0]))


def test_other_media_types_are_refused(client: TestClient) -> None:
    response = client.post("/v1/jobs", content=b"PK", headers={"Content-Type": "text/plain"})
    assert code(response) == (415, "unsupported_media_type")


def test_an_empty_body_is_refused(client: TestClient, service: Service) -> None:
    response = client.post("/v1/jobs", content=b"", headers=ZIP)
    assert code(response) == (422, "empty_body")
    assert service.files() == []


def test_two_files_are_refused(client: TestClient, service: Service) -> None:
    files = [("file", ("a.zip", b"a")), ("file", ("b.zip", b"b"))]
    assert code(client.post("/v1/jobs", files=files)) == (422, "one_file_expected")
    assert service.files() == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"no boundary here"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nPK\r\n"),
    ],
)
def test_a_broken_multipart_body_is_refused(
    client: TestClient, service: Service, content_type: str, body: bytes
) -> None:
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": content_type})
    assert code(response) == (422, "malformed_multipart")
    assert service.files() == []


def test_a_multipart_file_over_the_limit_is_refused(client: TestClient, service: Service) -> None:
    response = client.post("/v1/jobs", files={"file": ("a.zip", b"x" * (LIMIT + 1))})
    assert code(response) == (413, "upload_too_large")
    assert service.files() == []


def test_a_client_that_falls_silent_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "IDLE_TIMEOUT_S", 0.05)

    class Silent:
        def stream(self) -> object:
            async def never() -> object:
                await asyncio.sleep(5)
                yield b""

            return never()

    async def read() -> None:
        async for _ in uploads._chunks(Silent()):  # type: ignore[arg-type]
            pass

    with pytest.raises(Exception, match="nothing was received"):
        asyncio.run(read())


def test_uploads_are_refused_while_too_many_jobs_wait(client: TestClient, service: Service) -> None:
    for number in range(5):
        service.jobs.add(a_job(number))
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    assert code(response) == (503, "too_many_jobs")
    assert response.headers["Retry-After"] == "5"


def test_without_a_job_store_uploads_are_refused_and_leave_nothing(
    client: TestClient, service: Service
) -> None:
    service.jobs.is_away = True
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    assert code(response) == (503, "job_store_unavailable")
    assert service.files() == []


def test_an_accepted_job_survives_a_broker_that_is_away(
    client: TestClient, service: Service
) -> None:
    service.queue.is_away = True
    response = client.post("/v1/jobs", content=b"PK", headers=ZIP)
    assert response.status_code == 202
    assert service.objects.upload_path(response.json()["id"]).exists()
