"""The FastAPI app: routes, problems, metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

import service
from service.api import problems
from service.api.dependencies import ApiServices
from service.api.metrics import Metrics
from service.api.routes import jobs, results, service_state

DESCRIPTION = (
    "Send a zip of a hip CT series; get the periosteal and endosteal surfaces of each femur and "
    "the volumes of its regions. Research use only: not validated for clinical use."
)


def create_app(services: ApiServices) -> FastAPI:
    """The app on the services it is given."""
    app = app_without_services()
    app.state.services = services
    app.state.metrics = Metrics()
    return app


def app_without_services() -> FastAPI:
    """The routes alone, enough to describe them."""
    app = FastAPI(
        title="femurct",
        version=service.__version__,
        description=DESCRIPTION,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.middleware("http")(_count)
    problems.install(app)
    for routes in (jobs, results, service_state):
        app.include_router(routes.router)
    return app


async def _count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started = time.perf_counter()
    status = 500
    try:
        response = await call_next(request)
        status = response.status_code
        return response
    finally:
        route = getattr(request.scope.get("route"), "path", "none")
        collected: Metrics = request.app.state.metrics
        collected.answered(request.method, route, status, time.perf_counter() - started)
