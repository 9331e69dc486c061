"""``femurct doctor``: does this machine have what femurct needs?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.errors import FemurctError
from service.settings import Settings

OLDEST_PYTHON = (3, 11)

RUN_MEMORY_GIB = 2.5
"""Free memory that a run on 512 x 512 x 250 voxels needs (measured: 1.9 GiB, see
docs/benchmarks.md)."""

RESULT_DISK_GIB = 1.0
"""Free space for results and the broker's file, beside the largest upload."""

GIB = 1024**3


@dataclass(frozen=True)
class Check:
    """One thing looked at: what it is, whether it is as needed, and what was found."""

    name: str
    passed: bool
    found: str


def examine(settings: Settings) -> Iterator[Check]:
    """Look at everything, one after the other; a check that fails stops no other."""
    yield _python()
    yield from _networks(settings)
    yield _broker(settings)
    yield _data_folder(settings)
    yield _memory(settings)


def _python() -> Check:
    needed = ".".join(map(str, OLDEST_PYTHON))
    return Check(
        "python",
        sys.version_info >= OLDEST_PYTHON,
        f"{platform.python_version()} on {platform.system()} {platform.machine()}"
        f" (needed: {needed})",
    )


def _networks(settings: Settings) -> Iterator[Check]:
    from service.bootstrap import load_predictors

    try:
        networks = load_predictors(settings)
    except FemurctError as error:
        yield Check("networks", False, error.detail)
        return
    for network in networks:
        yield Check(
            f"{network.contract.role} network", True, f"contract kept, SHA-256 {network.sha256}"
        )
    found = " and ".join(dict.fromkeys(network.provider for network in networks))
    skipped = dict.fromkeys(reason for network in networks for reason in network.skipped)
    chosen = f"{found} (FEMURCT_PROVIDER={settings.provider})"
    yield Check("provider", True, "; not ".join((chosen, *skipped)))


def _broker(settings: Settings) -> Check:
    import redis

    from service.bootstrap import with_broker

    kind = "named by the environment" if settings.redis_url else "embedded"
    with tempfile.TemporaryDirectory(prefix="femurct-doctor-") as folder:
        # in a folder of its own, since a running service holds the real one's
        probe = settings.model_copy(update={"data_dir": Path(folder)})
        try:
            with with_broker(probe) as complete:
                client = redis.Redis.from_url(str(complete.redis_url))
                version = client.info("server")["redis_version"]
                client.close()
        except (FemurctError, redis.RedisError) as error:
            return Check("broker", False, f"{kind}: {error}")
    return Check("broker", True, f"{kind}, protocol of Redis {version}")


def _data_folder(settings: Settings) -> Check:
    """Room for the largest upload; nothing is unpacked to disk."""
    folder = settings.data_dir
    needed = RESULT_DISK_GIB + settings.max_upload_bytes / GIB
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("data folder", False, f"{error}; choose another with FEMURCT_DATA_DIR")
    free = shutil.disk_usage(folder).free / GIB
    found = f"{folder} can be written to, {free:.0f} GiB free (needed: {needed:.1f})"
    return Check("data folder", free >= needed, found)


def _memory(settings: Settings) -> Check:
    """Room for the largest upload, unpacked in memory, beside a run on an ordinary series."""
    needed = RUN_MEMORY_GIB + settings.max_unpacked_bytes / GIB
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        # what the page cache holds is free for use, too
        lines = dict(line.split(":", 1) for line in meminfo.read_text("ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024 / GIB
    found = (
        f"{free:.1f} GiB free (needed: {needed:.1f}; less with a lower FEMURCT_MAX_UNPACKED_BYTES)"
    )
    return Check("memory", free >= needed, found)
