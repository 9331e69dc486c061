"""The REST client against a scripted service (no network)."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service import client as client_module
from service.client import RemoteJob, ServiceClient
from service.domain.calibration import Calibration
from service.domain.jobs import JobOptions, JobState, Progress
from service.errors import FemurctError, InputError, ServiceError
from tests.builders.analyses import analysis, axial_geometry
from tests.builders.error_codes import known_codes

JOB = "0123456789abcdef0123456789abcdef"

Handler = Callable[[httpx.Request], httpx.Response]


def connected(handler: Handler, api_key: str | None = None) -> ServiceClient:
    return ServiceClient("http://service", api_key, transport=httpx.MockTransport(handler))


def job(state: str, **more: object) -> dict[str, object]:
    return {"id": JOB, "state": state, "created_at": "2026-01-01T00:00:00Z", **more}


def problem(status: int, code: str, detail: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "x", "status": status, "code": code, "detail": detail}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "series.zip"
    path.write_bytes(b"x" * (client_module.CHUNK_BYTES + 7))
    return path


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_PAUSE_S", 0.0)


def test_upload_sends_the_whole_file_with_its_length_and_the_key(archive: Path) -> None:
    steps: list[int] = []

    def accept(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/jobs"
        assert request.headers["Content-Type"] == "application/zip"
        assert request.headers["X-API-Key"] == "secret"
        assert "Transfer-Encoding" not in request.headers
        assert int(request.headers["Content-Length"]) == archive.stat().st_size
        assert request.read() == archive.read_bytes()
        return httpx.Response(202, json=job("accepted"))

    with connected(accept, api_key="secret") as service:
        accepted = service.submit(archive, JobOptions(), steps.append)

    assert accepted.id == JOB
    assert steps == [client_module.CHUNK_BYTES, 7]


def test_options_that_were_chosen_are_sent(archive: Path) -> None:
    def accept(request: httpx.Request) -> httpx.Response:
        assert dict(request.url.params) == {"stride": "1", "resample_gaps": "true"}
        return httpx.Response(202, json=job("accepted"))

    with connected(accept) as service:
        service.submit(archive, JobOptions(stride_z=1, resample_gaps=True), lambda _: None)


def test_a_calibration_is_sent_as_json(archive: Path) -> None:
    line = Calibration(slope=0.86, intercept=-2.1, unit="mg/cm3", method="internal")

    def accept(request: httpx.Request) -> httpx.Response:
        sent = request.url.params["calibration"]
        assert Calibration.model_validate_json(sent) == line
        return httpx.Response(202, json=job("accepted"))

    with connected(accept) as service:
        service.submit(archive, JobOptions(calibration=line), lambda _: None)


def test_wait_polls_until_the_job_has_ended() -> None:
    answers = [
        job("queued"),
        job("running", stage="periosteal", progress={"done": 3, "total": 10}),
        job("succeeded", stage="write", progress={"done": 10, "total": 10}),
    ]
    seen: list[RemoteJob] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["wait"] == str(client_module.LONG_POLL_S)
        return httpx.Response(200, json=answers[len(seen)])

    with connected(answer) as service:
        ended = service.wait(RemoteJob(id=JOB, state=JobState.ACCEPTED), seen.append)

    assert ended.state is JobState.SUCCEEDED
    assert [one.progress for one in seen] == [
        Progress(),
        Progress(done=3, total=10),
        Progress(done=10, total=10),
    ]


def test_wait_outlasts_a_service_that_is_away_for_a_moment() -> None:
    calls = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise httpx.ConnectError("refused")
        if calls == 2:
            return problem(503, "job_store_unavailable", "the broker is away")
        if calls == 3:
            return httpx.Response(500, text="stopping")
        return httpx.Response(200, json=job("succeeded"))

    with connected(answer) as service:
        service.wait(RemoteJob(id=JOB, state=JobState.RUNNING), lambda _: None)

    assert calls == 4


def test_wait_gives_up_a_service_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE_S", 0.0)

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with connected(answer) as service, pytest.raises(ServiceError, match="no service answers"):
        service.wait(RemoteJob(id=JOB, state=JobState.RUNNING), lambda _: None)


@pytest.mark.parametrize("code", sorted(set(known_codes())))
def test_a_failed_job_blames_the_series_as_run_would(code: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=job("failed", error={"code": code, "detail": "why"}))

    with connected(answer) as service, pytest.raises(FemurctError, match="why") as caught:
        service.wait(RemoteJob(id=JOB, state=JobState.RUNNING), lambda _: None)

    blames_input = any(issubclass(kind, InputError) for kind in known_codes()[code])
    assert type(caught.value) is (InputError if blames_input else FemurctError)
    assert caught.value.code == code


def test_a_cancelled_job_is_not_blamed_on_the_series() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=job("cancelled"))

    with connected(answer) as service, pytest.raises(FemurctError) as caught:
        service.wait(RemoteJob(id=JOB, state=JobState.RUNNING), lambda _: None)

    assert not isinstance(caught.value, InputError)
    assert caught.value.code == "cancelled"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (413, "upload_too_large", InputError),
        (422, "empty_body", InputError),
        (422, "invalid_request", ServiceError),
        (415, "unsupported_media_type", ServiceError),
        (401, "unauthorized", ServiceError),
        (413, "of_a_proxy", ServiceError),
    ],
)
def test_a_refused_upload_blames_the_zip_or_the_service(
    archive: Path, status: int, code: str, kind: type[FemurctError]
) -> None:
    with (
        connected(lambda _: problem(status, code, "some sentence")) as service,
        pytest.raises(kind, match="some sentence") as caught,
    ):
        service.submit(archive, JobOptions(), lambda _: None)

    assert caught.value.code == code


def test_something_else_at_the_address_is_named(archive: Path) -> None:
    with (
        connected(lambda _: httpx.Response(200, text="<html>")) as service,
        pytest.raises(ServiceError) as caught,
    ):
        service.submit(archive, JobOptions(), lambda _: None)

    assert caught.value.code == "unexpected_answer"


def test_download_saves_every_artifact_and_reads_the_report(tmp_path: Path) -> None:
    """Keys that a newer service adds are left out of what is read, not of what is saved."""
    report = analysis(axial_geometry()).report
    newer = report.model_dump(mode="json", by_alias=True) | {"added": 1}
    newer["femurs"][0]["geometry"]["added"] = 2
    files = {"report.json": json.dumps(newer).encode(), "left_periosteal.nii.gz": b"mask"}

    def answer(request: httpx.Request) -> httpx.Response:
        base = f"/v1/jobs/{JOB}/artifacts"
        if request.url.path == base:
            listing = [{"name": name, "size_bytes": 1, "href": "x"} for name in files]
            return httpx.Response(200, json={"artifacts": listing})
        return httpx.Response(200, content=files[request.url.path.removeprefix(base + "/")])

    with connected(answer) as service:
        found = service.download(RemoteJob(id=JOB, state=JobState.SUCCEEDED), tmp_path)

    assert found == report
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_download_takes_plain_names_only(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        artifact = {"name": "../evil", "size_bytes": 1, "href": "x"}
        return httpx.Response(200, json={"artifacts": [artifact]})

    with connected(answer) as service, pytest.raises(ServiceError) as caught:
        service.download(RemoteJob(id=JOB, state=JobState.SUCCEEDED), tmp_path)

    assert caught.value.code == "unexpected_answer"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["nonsense", "http://[", "ftp://host"])
def test_an_address_that_is_none_is_a_service_error(archive: Path, url: str) -> None:
    with pytest.raises(ServiceError), ServiceClient(url) as service:
        service.submit(archive, JobOptions(), lambda _: None)


def test_ready_is_false_while_nothing_answers() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with connected(away) as service:
        assert not service.is_ready()
    with connected(lambda _: httpx.Response(200)) as service:
        assert service.is_ready()


def test_no_proxy_stands_between_a_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with ServiceClient("http://127.0.0.1:9") as service:
            assert not service.is_ready()
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody came
            proxy.accept()
