"""Composition root: the only module that knows every other one.

Heavy modules are imported where they are needed, so that the API's process loads neither numpy
nor onnxruntime.
"""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from service.adapters.embedded_redis import embedded_redis
from service.adapters.job_store import RedisJobStore
from service.adapters.object_store import FolderObjectStore
from service.adapters.task_queue import CeleryTaskQueue
from service.domain.jobs import JobOptions
from service.errors import ServiceError
from service.settings import Settings

if TYPE_CHECKING:
    from service.adapters.onnx_predictor import OnnxPredictor
    from service.adapters.upload_archive import ArchiveLimits
    from service.api.dependencies import ApiServices
    from service.domain.findings import AnalysisReport
    from service.domain.ports import ProgressListener
    from service.pipeline.cascade import Networks
    from service.worker.services import WorkerServices

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s job=%(job_id)s %(message)s"


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def configure_logging(level: str) -> None:
    """Log to standard error, each record with the id of its job or ``-``.

    pydicom's own records are left out: they quote the values that they complain of.
    """
    formatter = logging.Formatter(LOG_FORMAT, defaults={"job_id": "-"})
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("pydicom").propagate = False


@contextmanager
def with_broker(settings: Settings) -> Iterator[Settings]:
    """Settings that name a broker: as given, or an embedded one that runs while the block runs.

    Raises:
        ServiceError: ``already_running``, ``no_redis_server`` or ``broker_unavailable``.
    """
    if settings.redis_url is not None:
        yield settings
        return
    with embedded_redis(settings.data_dir / "broker") as url:
        yield settings.model_copy(update={"redis_url": url})


def build_api(settings: Settings) -> ApiServices:
    """What the API works with.

    Raises:
        ServiceError: ``no_broker``; ``exposed`` when it would listen beyond loopback unasked.
    """
    from service.adapters.model_files import read_models
    from service.api.dependencies import ApiLimits, ApiServices

    if not (settings.is_loopback or settings.api_keys or settings.allow_anonymous):
        raise ServiceError(
            f"listening on {settings.host} without API keys would let anyone send and read series; "
            "set FEMURCT_API_KEYS, or FEMURCT_ALLOW_ANONYMOUS=true behind a proxy that "
            "authenticates",
            code="exposed",
        )
    return ApiServices(
        jobs=_job_store(settings),
        objects=FolderObjectStore(settings.data_dir),
        queue=_task_queue(settings),
        models=read_models(settings.weights_dir),
        limits=ApiLimits(
            max_upload_bytes=settings.max_upload_bytes, max_waiting_jobs=settings.max_waiting_jobs
        ),
        api_keys=tuple(key.get_secret_value() for key in settings.api_keys),
        is_local=settings.is_loopback and not settings.allow_anonymous,
        clock=now,
    )


def build_worker(settings: Settings) -> WorkerServices:
    """What a worker works with; ``prepare`` loads the networks.

    Raises:
        ServiceError: ``no_broker``.
    """
    from service.worker.services import RunLimits, WorkerServices

    configure_logging(settings.log_level)
    analysis = _ArchiveAnalysis(settings)
    return WorkerServices(
        jobs=_job_store(settings),
        objects=FolderObjectStore(settings.data_dir),
        queue=_task_queue(settings),
        prepare=analysis.prepare,
        analyse=analysis,
        limits=RunLimits(
            lease_s=settings.lease_s,
            stall_s=settings.stall_limit_s,
            deadline_s=settings.job_deadline_s,
            max_tries=settings.max_tries,
        ),
        clock=now,
    )


def run_api(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve the API until told to stop; ``on_ready`` is given its address."""
    from service.api.app import create_app
    from service.api.server import serve

    configure_logging(settings.log_level)
    serve(create_app(build_api(settings)), settings.host, settings.port, on_ready=on_ready)


def run_worker(settings: Settings) -> int:
    """Run a worker until told to stop; needs the main thread; returns the exit code."""
    from service.worker.celery_app import run_worker as run
    from service.worker.services import WorkerRecipe

    configure_logging(settings.log_level)
    return run(WorkerRecipe(settings, build_worker))


def load_predictors(settings: Settings) -> tuple[OnnxPredictor, OnnxPredictor]:
    """The periosteal and the endosteal network, loaded and checked.

    Raises:
        ModelError: a file is missing or breaks its contract.
    """
    from service.adapters.onnx_predictor import RuntimeOptions, load_predictor

    runtime = RuntimeOptions(provider=settings.provider, threads=settings.threads)
    folder = settings.weights_dir
    return (
        load_predictor(folder / "periosteal.onnx", "periosteal", runtime),
        load_predictor(folder / "endosteal.onnx", "endosteal", runtime),
    )


def load_networks(settings: Settings) -> Networks:
    """The cascade of both networks; raises as load_predictors."""
    from service.pipeline.cascade import Networks

    return Networks(*load_predictors(settings))


def analyse_archive(
    archive: Path,
    out_dir: Path,
    *,
    settings: Settings,
    networks: Callable[[], Networks],
    options: JobOptions,
    listener: ProgressListener,
) -> AnalysisReport:
    """One upload from zip to files; used by the worker and by ``femurct run``.

    Args:
        archive: a zip of a CT series.
        out_dir: existing; nothing is written unless the analysis succeeds.
        settings: limits of the archive, and the default stride.
        networks: gives what load_networks gives; called once a femur is found.
        options: what the sender chose.
        listener: told of the progress.

    Raises:
        InputError: the archive cannot be used.
        ModelError: a network cannot.
        JobError: the listener stopped the run.
    """
    import hashlib

    from service.adapters.upload_archive import read_members
    from service.artifacts.results import write_results
    from service.domain.jobs import Stage
    from service.pipeline.run import AnalysisRequest, analyse

    listener(Stage.READ, 0, 0)
    with archive.open("rb") as file:
        input_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    request = AnalysisRequest(
        members=read_members(archive, _archive_limits(settings)),
        input_sha256=input_sha256,
        stride_z=options.stride_z or settings.stride_z,
        series_instance_uid=options.series_instance_uid,
        expected_instances=options.expected_instances,
        resample_gaps=options.resample_gaps,
        calibration=options.calibration,
    )
    analysis = analyse(request, networks, listener)
    write_results(analysis, out_dir)
    return analysis.report


class _ArchiveAnalysis:
    """An Analyse that loads the networks once, when told to or first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _networks(self) -> Networks:
        networks = load_networks(self._settings)
        providers = (networks.periosteal.provider, networks.endosteal.provider)
        logging.getLogger(__name__).info("networks run on %s and %s", *providers)
        return networks

    def prepare(self) -> None:
        """Load the networks and the pipeline's modules.

        Raises:
            ModelError: a file is missing or breaks its contract.
        """
        import service.artifacts.results
        import service.pipeline.run  # noqa: F401

        _ = self._networks

    def __call__(
        self, archive: Path, out_dir: Path, options: JobOptions, listener: ProgressListener
    ) -> None:
        analyse_archive(
            archive,
            out_dir,
            settings=self._settings,
            networks=lambda: self._networks,
            options=options,
            listener=listener,
        )


def _archive_limits(settings: Settings) -> ArchiveLimits:
    from service.adapters.upload_archive import ArchiveLimits

    return ArchiveLimits(
        archive_bytes=settings.max_upload_bytes,
        members=settings.max_archive_members,
        member_bytes=settings.max_member_bytes,
        total_bytes=settings.max_unpacked_bytes,
    )


def _redis_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise ServiceError(
            "the service needs a broker; set REDIS_URL, or run `femurct up`", code="no_broker"
        )
    return settings.redis_url


def _job_store(settings: Settings) -> RedisJobStore:
    return RedisJobStore(_redis_url(settings), claim_s=settings.retention_s)


def _task_queue(settings: Settings) -> CeleryTaskQueue:
    return CeleryTaskQueue(_redis_url(settings), job_deadline_s=settings.job_deadline_s)
