"""The FastAPI app: routes, problems, metrics."""

from __future__ import annotations

import threading
import time

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import service
from service.api import problems
from service.api.dependencies import ApiServices
from service.api.metrics import Metrics
from service.api.routes import cohorts, jobs, results, service_state

DESCRIPTION = (
    "Send a zip of a hip CT series; get the periosteal and endosteal surfaces of each femur and "
    "the volumes of its regions. Research use only: not validated for clinical use."
)


def create_app(services: ApiServices) -> FastAPI:
    """The app on the services it is given."""
    app = app_without_services()
    app.state.services = services
    app.state.metrics = Metrics()
    app.state.stopping = threading.Event()
    return app


def app_without_services() -> FastAPI:
    """The routes alone, enough to describe them."""
    # hospitals' networks reach no CDN; the page of /docs must come whole from here
    app = FastAPIOffline(
        title="femurct",
        version=service.__version__,
        description=DESCRIPTION,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.add_middleware(_Counting)
    problems.install(app)
    for routes in (jobs, results, cohorts, service_state):
        app.include_router(routes.router)
    return app


class _Counting:
    """ASGI middleware: counts every request under its route's pattern."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, seconds = time.perf_counter(), 500, 0.0

        async def watched(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            collected: Metrics = scope["app"].state.metrics
            collected.answered(scope["method"], route, status, seconds)
