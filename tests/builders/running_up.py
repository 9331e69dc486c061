"""A running ``femurct up`` on networks that only threshold."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.client import ServiceClient
from service.up import free_port
from tests.builders.threshold_networks import write_threshold_networks

READY_WITHIN_S = 120.0
GONE_WITHIN_S = 60.0


@dataclass(frozen=True)
class RunningUp:
    """A started ``femurct up``."""

    url: str
    process: subprocess.Popen[bytes]


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    given_up_at = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > given_up_at:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def started_up(folder: Path) -> Iterator[RunningUp]:
    environment = {
        **os.environ,
        "FEMURCT_WEIGHTS_DIR": str(write_threshold_networks(folder / "weights")),
        "FEMURCT_PROVIDER": "cpu",
    }
    environment.pop("REDIS_URL", None)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ("--port", str(port), "--data-dir", str(folder / "data"))
    log = folder / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "up", *options],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        with ServiceClient(url) as client:
            assert eventually(client.is_ready, READY_WITHIN_S), log.read_text()
        yield RunningUp(url, process)
    finally:
        process.terminate()
        try:
            process.wait(GONE_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
