"""The app behind uvicorn."""

from __future__ import annotations

import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

GRACE_S = 5
"""Requests still open when the server is told to stop have this long."""


def serve(
    app: FastAPI, host: str, port: int, *, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; needs the main thread.

    Args:
        app: what to serve; its ``state.stopping`` is set before requests are waited for.
        host: address to listen on.
        port: TCP port; 0 picks a free one.
        on_ready: given the address once it listens.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    _Server(config, app, on_ready).run()


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, app: FastAPI, on_ready: Callable[[str], None] | None
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._stopping: threading.Event = app.state.stopping

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self._on_ready is not None:
            port = self.servers[0].sockets[0].getsockname()[1]
            self._on_ready(f"http://{self.config.host}:{port}")

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._stopping.set()
        await super().shutdown(sockets)  # type: ignore[arg-type]
