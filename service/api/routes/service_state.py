"""The service itself: its networks, its health, its metrics."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from service.api.auth import authenticate
from service.api.dependencies import ApiServices, Services
from service.api.metrics import Metrics
from service.api.routes.jobs import problems
from service.api.schemas import Health, HealthCheck, ModelList
from service.domain.ports import WORKER_ALIVE
from service.errors import ServiceError

router = APIRouter(tags=["service"])


@router.get(
    "/v1/models",
    response_model=ModelList,
    responses=problems(401, 403),
    dependencies=[Depends(authenticate)],
)
def list_models(services: Services) -> ModelList:
    """The networks: role, SHA-256 and contract."""
    return ModelList(models=services.models)


@router.get("/v1/health/live", response_model=Health)
def live() -> Health:
    """The API answers."""
    return Health(status="ok")


@router.get(
    "/v1/health/ready",
    response_model=Health,
    responses={503: {"model": Health, "description": "a check fails"}},
)
def ready(services: Services) -> Response:
    """A job sent now would be worked on: broker, worker and networks are there."""
    checks = (
        _check("broker", lambda: _broker(services)),
        _check("worker", lambda: _worker(services)),
        _check("models", lambda: _models(services)),
    )
    is_ready = all(check.ok for check in checks)
    health = Health(status="ok" if is_ready else "not ready", checks=checks)
    return JSONResponse(health.model_dump(), 200 if is_ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format"}},
)
def metrics(request: Request, services: Services) -> Response:
    """Counters for Prometheus; no patient data."""
    collected: Metrics = request.app.state.metrics
    return Response(collected.text(services), media_type=collected.media_type)


def _check(name: str, ask: Callable[[], str]) -> HealthCheck:
    try:
        return HealthCheck(name=name, ok=True, detail=ask())
    except ServiceError as error:
        return HealthCheck(name=name, ok=False, detail=error.detail)


def _broker(services: ApiServices) -> str:
    services.jobs.ping()
    return f"{services.queue.depth()} requests wait"


def _worker(services: ApiServices) -> str:
    if not services.jobs.has_lease(WORKER_ALIVE):
        raise ServiceError(
            "no worker is ready; start one with `femurct worker`, and wait until its networks are "
            "loaded: its log says what is missing"
        )
    return "a worker is ready"


def _models(services: ApiServices) -> str:
    roles = {model.role for model in services.models}
    missing = {"periosteal", "endosteal"} - roles
    if missing:
        raise ServiceError(f"no network for: {', '.join(sorted(missing))}")
    return "both networks are there"
