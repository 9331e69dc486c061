"""What ``femurct up`` refuses before it starts anything."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from rich.console import Console

from service.errors import ServiceError
from service.settings import Settings
from service.up import run_all


def test_a_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = Settings(data_dir=tmp_path / "data", port=port, redis_url=None)
        with pytest.raises(ServiceError, match="Address already in use") as caught:
            run_all(settings, Console(file=io.StringIO()))
    assert caught.value.code == "port_unavailable"
    assert not settings.data_dir.exists()
