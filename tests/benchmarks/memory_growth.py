"""Memory of one process over many jobs: it must not grow.

``python -m tests.benchmarks.memory_growth`` prints Markdown: resident memory after every tenth of
the jobs. Each reads, analyses and writes one of two small series, a left and a right femur, with
networks that only threshold HU, in the runtime that the environment's settings choose.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.artifacts.results import write_results
from service.bootstrap import load_networks
from service.pipeline.run import AnalysisRequest, analyse
from service.settings import Settings
from tests.benchmarks.in_process import no_listener
from tests.benchmarks.phantom_accuracy import markdown
from tests.benchmarks.resources import peak_mib, reset_peak
from tests.builders.hip_series import hip_members
from tests.builders.threshold_networks import write_threshold_networks


def main(jobs: Annotated[int, typer.Option(min=1)] = 200) -> None:
    """Run the jobs one after the other in this process."""
    print(markdown(["jobs", "resident MiB"], []), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = write_threshold_networks(folder / "weights")
        loaded = load_networks(Settings(weights_dir=weights))
        for job in range(1, jobs + 1):
            request = AnalysisRequest(hip_members(mirrored=job % 2 == 0), "0" * 64)
            write_results(analyse(request, lambda: loaded, no_listener), folder)
            if job % max(1, jobs // 10) == 0:
                reset_peak()  # to what is resident now
                print(f"| {job} | {peak_mib():.0f} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
