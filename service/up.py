"""``femurct up``: broker, API and worker in one command."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from service.bootstrap import with_broker
from service.client import ServiceClient
from service.errors import ServiceError
from service.settings import Settings
from service.supervisor import Part, supervise

ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104
"""Hosts that mean every address of the machine; a client here then uses loopback."""


def run_all(settings: Settings, console: Console) -> None:
    """Run everything until Ctrl-C or SIGTERM, and say when the service is ready.

    Raises:
        ServiceError: the broker does not start, the port is taken, or a part ends by itself.
    """
    port = settings.port or free_port()
    _check_free(settings.host, port)
    host = "127.0.0.1" if settings.host in ANY_ADDRESS else settings.host
    with with_broker(settings) as complete:
        environment = {
            **os.environ,
            "FEMURCT_PORT": str(port),
            "FEMURCT_REDIS_URL": complete.redis_url or "",
        }
        parts = (Part("api"), Part("worker"))
        supervise(parts, environment, _announce_once(f"http://{host}:{port}", console))


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(host: str, port: int) -> None:
    """Another service on the port would answer in place of the one that cannot start."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ServiceError(
            f"cannot listen on port {port} of {host or 'this machine'} ({error.strerror}); "
            "stop what listens there, or choose another with --port",
            code="port_unavailable",
        ) from error


def _announce_once(url: str, console: Console) -> Callable[[], None]:
    """Asks the service whether it is ready, until it is, and then tells where it is."""
    client = ServiceClient(url)
    ready = False

    def look() -> None:
        nonlocal ready
        if ready or not client.is_ready():
            return
        ready = True
        client.close()
        console.print(Text(f"femurct is ready at {url}, its documentation at {url}/docs"))

    return look
