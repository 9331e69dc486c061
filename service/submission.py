"""``femurct submit``: one series through a service, from zip to files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from service.client import RemoteJob, ServiceClient
from service.console import stage_progress, upload_progress
from service.domain.findings import AnalysisReport
from service.domain.jobs import JobOptions
from service.errors import FemurctError
from service.output_folder import filled_or_absent


class SubmitInterrupted(FemurctError):
    """Told to stop while the service works on; says what is left there."""

    code = "interrupted"


def submit_and_fetch(
    client: ServiceClient, series: Path, options: JobOptions, out: Path, console: Console
) -> AnalysisReport:
    """Send a series, follow its job, and fetch every file of the result.

    An interrupted wait leaves the job running: others may wait for it, too, since identical uploads
    share one run, and the same submission later picks it up (docs/decisions/0005).

    Args:
        client: of the service.
        series: a zip.
        options: of the analysis.
        out: filled at the end, or absent.
        console: where progress is shown.

    Raises:
        InputError: the series cannot be used.
        ServiceError: the service cannot be reached, or refuses.
        SubmitInterrupted: Ctrl-C after the service had taken the upload.
        FemurctError: the job failed for another reason, or was cancelled.
    """
    with filled_or_absent(out) as folder:
        with upload_progress(console, series.stat().st_size) as on_sent:
            job = client.submit(series, options, on_sent)
        console.print(f"job {job.id}")
        try:
            return _fetch(client, job, folder, console)
        except KeyboardInterrupt:
            raise SubmitInterrupted(
                f"stopped waiting; upload and job {job.id} are still at the service; the same "
                "submit fetches the result, and "
                f"DELETE {client.url}/v1/jobs/{job.id} cancels or removes it"
            ) from None


def _fetch(client: ServiceClient, job: RemoteJob, folder: Path, console: Console) -> AnalysisReport:
    """Follow an accepted job to its end and save its files."""
    with stage_progress(console) as show:

        def show_job(now: RemoteJob) -> None:
            if now.stage is not None:
                show(now.stage, now.progress.done, now.progress.total)

        ended = client.wait(job, show_job)
    return client.download(ended, folder)
