"""Health, models and metrics."""

from __future__ import annotations

from dataclasses import replace

from fastapi.testclient import TestClient

from service.api.app import create_app
from service.domain.model_contract import ModelContract, ModelFile
from service.domain.ports import WORKER_ALIVE
from tests.builders.jobs import Service, a_job


def model(role: str) -> ModelFile:
    contract = ModelContract.model_validate({"role": role})
    return ModelFile(role=contract.role, sha256="0" * 64, contract=contract)


def client_with_models(service: Service) -> TestClient:
    models = (model("endosteal"), model("periosteal"))
    return TestClient(create_app(replace(service.api(), models=models)))


def test_models_show_contract_and_digest(service: Service) -> None:
    models = client_with_models(service).get("/v1/models").json()["models"]
    assert [found["role"] for found in models] == ["endosteal", "periosteal"]
    assert models[0]["contract"]["window_zyx"] == [64, 192, 192]


def test_the_api_lives_without_anything_else(client: TestClient, service: Service) -> None:
    service.jobs.is_away = True
    assert client.get("/v1/health/live").status_code == 200


def test_it_is_ready_when_broker_worker_and_networks_are_there(service: Service) -> None:
    service.jobs.take_lease(WORKER_ALIVE, WORKER_ALIVE, 60.0)
    response = client_with_models(service).get("/v1/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


def failed_checks(client: TestClient) -> list[str]:
    response = client.get("/v1/health/ready")
    assert response.status_code == 503
    return [check["name"] for check in response.json()["checks"] if not check["ok"]]


def test_it_is_not_ready_without_a_worker(service: Service) -> None:
    assert failed_checks(client_with_models(service)) == ["worker"]


def test_it_is_not_ready_without_a_broker(service: Service) -> None:
    service.jobs.is_away = True
    assert failed_checks(client_with_models(service)) == ["broker", "worker"]


def test_it_is_not_ready_without_networks(client: TestClient, service: Service) -> None:
    service.jobs.take_lease(WORKER_ALIVE, WORKER_ALIVE, 60.0)
    assert failed_checks(client) == ["models"]


def test_metrics_count_requests_by_route_and_jobs_by_state(
    client: TestClient, service: Service
) -> None:
    service.jobs.add(a_job(1))
    client.get(f"/v1/jobs/{a_job(1).id}")
    text = client.get("/metrics").text
    assert 'femurct_unfinished_jobs{state="accepted"} 1.0' in text
    assert 'route="/v1/jobs/{job_id}",status="200"} 1.0' in text
    assert a_job(1).id not in text


def test_metrics_answer_without_redis(client: TestClient, service: Service) -> None:
    service.jobs.is_away = True
    assert client.get("/metrics").status_code == 200
