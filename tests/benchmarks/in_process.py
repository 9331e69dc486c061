"""The whole pipeline in this process, from a zip to an Analysis."""

from __future__ import annotations

import hashlib
from pathlib import Path

from service.adapters.upload_archive import ArchiveLimits, read_members
from service.bootstrap import load_networks
from service.domain.imaging import Analysis
from service.domain.jobs import Stage
from service.domain.ports import ProgressListener
from service.pipeline.cascade import Networks
from service.pipeline.run import AnalysisRequest, analyse
from service.settings import Settings


def networks() -> Networks:
    """Both networks, as the environment's settings say (``FEMURCT_PROVIDER`` and so on)."""
    return load_networks(Settings())


def no_listener(stage: Stage, done: int, total: int) -> None:
    """Hear nothing."""


def analyse_zip(
    archive: Path,
    loaded: Networks,
    listener: ProgressListener = no_listener,
    stride_z: int | None = None,
) -> Analysis:
    """Analyse one upload, with the default options but for the stride.

    Raises:
        InputError: the archive cannot be used.
    """
    content = archive.read_bytes()
    request = AnalysisRequest(
        members=read_members(archive, ArchiveLimits()),
        input_sha256=hashlib.sha256(content).hexdigest(),
        stride_z=stride_z,
    )
    return analyse(request, lambda: loaded, listener)
