"""What the service adds to a job: its wall time less that of the same work in this process.

``python -m tests.benchmarks.service_overhead`` starts ``femurct up`` with networks that only
threshold HU, so that their own scatter does not hide the difference, and sends it a small series
of one femur. Each round does the work once here and once through the service, from the first byte
sent to the job's end seen by a long poll; results are not fetched.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from service.bootstrap import analyse_archive, load_networks
from service.client import ServiceClient
from service.domain.jobs import JobOptions
from service.settings import Settings
from tests.benchmarks.in_process import no_listener
from tests.benchmarks.phantom_accuracy import markdown
from tests.builders.hip_series import hip_members
from tests.builders.running_up import started_up
from tests.builders.zip_archive import write_zip


def in_process_s(archive: Path, settings: Settings, out_dir: Path) -> float:
    """Zip to files in this process; the networks' loading is not counted."""
    loaded = load_networks(settings)
    started = time.perf_counter()
    analyse_archive(
        archive,
        out_dir,
        settings=settings,
        networks=lambda: loaded,
        options=JobOptions(),
        listener=no_listener,
    )
    return time.perf_counter() - started


def through_service_s(archive: Path, url: str) -> float:
    """Zip to a job that has succeeded."""
    with ServiceClient(url) as client:
        started = time.perf_counter()
        job = client.submit(archive, JobOptions(), lambda sent: None)
        client.wait(job, lambda seen: None)
        return time.perf_counter() - started


def main(rounds: Annotated[int, typer.Option(min=1)] = 10) -> None:
    """Alternate both, each round on an upload of its own, since equal ones share one run."""
    differences, rows = [], []
    with tempfile.TemporaryDirectory() as name, started_up(Path(name)) as service:
        folder = Path(name)
        settings = Settings(weights_dir=folder / "weights", provider="cpu")
        for number in range(rounds + 1):
            archive = write_zip(folder / f"{number}.zip", hip_members())
            with zipfile.ZipFile(archive, "a") as entries:
                entries.comment = str(number).encode()
            (results := folder / f"results_{number}").mkdir()
            here = in_process_s(archive, settings, results)
            there = through_service_s(archive, service.url)
            if number > 0:  # the first round warms both up
                differences.append(there - here)
                values = (here, there, there - here)
                rows.append([str(number), *(f"{value:.2f}" for value in values)])
    print(markdown(["round", "in process, s", "job, s", "service, s"], rows))
    print(f"\nmedian of the difference: {statistics.median(differences):.2f} s")


if __name__ == "__main__":
    typer.run(main)
