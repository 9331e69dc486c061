"""Every error is a problem with a stable code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.problems import STATUS
from tests.builders.jobs import Service

DOCS = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/jobs?limit=x", 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=0", 422, "invalid_request"),
        ("POST", "/v1/jobs?stride=0", 422, "invalid_request"),
        ("POST", "/v1/jobs?expected_instances=0", 422, "invalid_request"),
        ("POST", "/v1/jobs?series_instance_uid=Doe", 422, "invalid_request"),
        ("POST", "/v1/jobs?strid=3", 422, "invalid_request"),
        ("POST", "/v1/jobs", 415, "unsupported_media_type"),
        ("GET", "/v1/jobs/x/result?masks=png", 422, "invalid_request"),
    ],
)
def test_a_refusal_is_a_problem(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    body = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert set(body) == {"type", "title", "status", "code", "detail"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/jobs", "GET, POST"),
        ("/v1/jobs/x", "DELETE, GET"),
        ("/v1/models", "GET"),
        ("/docs", "GET"),
    ],
)
def test_405_names_every_method_of_the_path(client: TestClient, path: str, methods: str) -> None:
    response = client.put(path)
    assert response.headers["Allow"] == methods
    assert response.json()["detail"] == f"{path} does not take PUT; it takes {methods}"


def test_an_unknown_option_is_named_beside_the_known_ones(client: TestClient) -> None:
    response = client.post("/v1/jobs", params={"strid": 3, "stride": 3, "stride_z": "Doe"})
    assert response.json()["detail"] == (
        "query: no option is called strid or stride_z; "
        "known are stride, series_instance_uid, expected_instances, resample_gaps, "
        "calibration"
    )


def test_what_was_sent_is_not_repeated(client: TestClient) -> None:
    response = client.get("/v1/jobs", params={"limit": "Doe"})
    assert "Doe" not in response.text


def test_an_unknown_error_is_a_problem_that_tells_nothing(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("DOE^JANE")

    monkeypatch.setattr(service.jobs, "unfinished", fail)
    response = client.get("/v1/jobs")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "DOE" not in response.text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/x", "/v1/models", "/v1/jobs/x/result"])
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "no"}, {"Authorization": "Bearer no"}])
def test_without_a_key_nothing_is_told(
    service: Service, path: str, headers: dict[str, str]
) -> None:
    client = TestClient(create_app(service.api(api_keys=("one", "two"))))
    response = client.get(path, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{"X-API-Key": "two"}, {"Authorization": "Bearer one"}])
def test_either_header_carries_a_key(service: Service, headers: dict[str, str]) -> None:
    client = TestClient(create_app(service.api(api_keys=("one", "two"))))
    assert client.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8000"}, 200),
        ({"Host": "127.0.0.2"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:9000"}, 403),
        ({"Host": "localhost:8000", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost:8000", "Origin": "null"}, 403),
        ({"Host": "evil.example:8000"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Host": "bad host["}, 403),
    ],
)
def test_without_keys_no_web_page_reaches_this_machine(
    service: Service, headers: dict[str, str], status: int
) -> None:
    client = TestClient(create_app(service.api(is_local=True)))
    response = client.get("/v1/jobs", headers=headers)
    assert response.status_code == status
    assert response.json().get("code") == ("foreign_page" if status == 403 else None)


def test_every_code_is_documented_with_its_status() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", DOCS.read_text(), re.MULTILINE))
    assert table == {code: str(status.value) for code, status in STATUS.items()}
