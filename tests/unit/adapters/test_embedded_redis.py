"""The private server for one machine."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from service.adapters.embedded_redis import embedded_redis
from service.errors import ServiceError


def test_what_was_written_survives_a_restart(tmp_path: Path) -> None:
    for expected in (None, b"value"):
        with embedded_redis(tmp_path / "broker") as url, redis.Redis.from_url(url) as client:
            assert client.get("key") == expected
            client.set("key", "value")


def test_only_its_user_reaches_it(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(url.removeprefix("unix://")).stat().st_mode) == 0o700
        assert client.config_get("port") == {"port": "0"}


def test_nothing_is_lost_or_thrown_away(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "broker") as url, redis.Redis.from_url(url) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "broker"):
        with pytest.raises(ServiceError) as caught, embedded_redis(tmp_path / "broker"):
            pass
        assert caught.value.code == "already_running"


def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120) / "broker"
    with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        assert client.ping()
    assert not Path(url.removeprefix("unix://")).parent.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_it_ends_with_a_parent_that_is_killed_and_starts_again(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    script = (
        "import sys, time, pathlib\n"
        "from service.adapters.embedded_redis import embedded_redis\n"
        "with embedded_redis(pathlib.Path(sys.argv[1])) as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        with redis.Redis.from_url(url) as client:
            client.set("key", "value")
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(100):  # the orphan holds the lock until it has ended
        try:
            with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
                assert client.get("key") == b"value"
                return
        except ServiceError:
            signal.sigtimedwait([], 0.1)
    pytest.fail("the orphan did not end")
