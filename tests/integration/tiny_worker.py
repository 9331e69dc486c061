"""A real worker whose analysis is a few lines: what it does stands in the upload.

``python -m tests.integration.tiny_worker`` runs it on the settings of the environment.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from service import bootstrap
from service.domain.jobs import JobOptions, Stage
from service.domain.ports import ProgressListener
from service.errors import ArchiveError
from service.settings import Settings
from service.worker.celery_app import run_worker
from service.worker.services import WorkerRecipe, WorkerServices

PATIENT = "DOE^JANE"
"""What no log may hold."""

WINDOW_S = 0.1
"""Seconds one window takes."""


def analyse(archive: Path, out_dir: Path, options: JobOptions, listener: ProgressListener) -> None:
    """Obey the upload: ``N`` windows, ``refuse``, ``crash``, once ``die FILE``, ``hang FILE``."""
    words = archive.read_text().split()
    if words[0] == "refuse":
        raise ArchiveError("the upload is no zip archive")
    if words[0] == "crash":
        raise RuntimeError(PATIENT)
    if words[0] == "die" and not Path(words[1]).exists():
        Path(words[1]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if words[0] == "hang" and not Path(words[1]).exists():
        Path(words[1]).touch()
        time.sleep(3600)
    windows = int(words[0]) if words[0].isdigit() else 1
    for done in range(windows):
        listener(Stage.PERIOSTEAL, done, windows)
        time.sleep(WINDOW_S)
    (out_dir / "report.json").write_text('{"schema": "femurct.report/1"}\n')
    (out_dir / "masks_rle.json").write_text("{}")


def build(settings: Settings) -> WorkerServices:
    """The worker's services with the tiny analysis."""
    return replace(bootstrap.build_worker(settings), prepare=lambda: None, analyse=analyse)


if __name__ == "__main__":
    environment = Settings()
    bootstrap.configure_logging(environment.log_level)
    sys.exit(run_worker(WorkerRecipe(environment, build)))
