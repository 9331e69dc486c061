"""Wall time and peak memory of each stage of a run on a 512 x 512 x 250 series.

``python -m tests.benchmarks.resources`` prints Markdown. The run has a process of its own, whose
peak resident memory Linux lets us read and reset between stages (proc(5), ``clear_refs`` 5).
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from service.artifacts.results import write_results
from service.domain.geometry import VolumeGeometry
from service.domain.jobs import Stage
from service.sample.anatomy import draw_anatomy
from service.sample.dicom_series import write_series
from service.sample.generate import series_geometry
from service.sample.scanner import draw_acquisition, render
from tests.benchmarks.in_process import analyse_zip, networks
from tests.benchmarks.phantom_accuracy import markdown

SLICES = 250
SLICE_SPACING_MM = 1.0
PIXEL_SPACING_MM = 0.85


class StageCost(NamedTuple):
    """What one stage took, over all femurs."""

    stage: str
    seconds: float
    peak_mib: float


class StageMeter:
    """A ProgressListener that books time and peak memory on the stage it last heard of."""

    def __init__(self) -> None:
        self._costs: dict[str, StageCost] = {}
        self._stage = "load networks"
        self._since = time.monotonic()
        reset_peak()

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Close the account of a stage when another begins."""
        if stage.value != self._stage:
            self.book()
            self._stage = stage.value

    def book(self) -> None:
        """Book what was spent since the last booking."""
        now = time.monotonic()
        before = self._costs.get(self._stage, StageCost(self._stage, 0.0, 0.0))
        self._costs[self._stage] = StageCost(
            self._stage, before.seconds + now - self._since, max(before.peak_mib, peak_mib())
        )
        self._since = now
        reset_peak()

    @property
    def costs(self) -> list[StageCost]:
        """In the order in which the stages began."""
        return list(self._costs.values())


def peak_mib() -> float:
    """Peak resident memory of this process since the last reset, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmHWM in /proc/self/status")


def reset_peak() -> None:
    """Let the peak start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def write_long_series(archive: Path, seed: int) -> None:
    """A sample of ``SLICES`` slices of 512 x 512, 1 mm apart."""
    anatomy = draw_anatomy(seed)
    acquisition = replace(
        draw_acquisition(seed),
        slice_spacing_mm=SLICE_SPACING_MM,
        pixel_spacing_mm=PIXEL_SPACING_MM,
    )
    drawn = series_geometry(anatomy, acquisition)
    affine = drawn.affine_lps.copy()
    affine[2, 3] += (drawn.shape_zyx[0] - SLICES) * SLICE_SPACING_MM
    geometry = VolumeGeometry((SLICES, *drawn.shape_zyx[1:]), affine)
    rendered = render(anatomy, geometry, acquisition, np.random.default_rng([seed, 3]))
    write_series(rendered, acquisition, archive)


def measure(archive: Path, out: Path) -> tuple[list[StageCost], str]:
    """Run the pipeline in this process: costs per stage, and the provider of the networks."""
    meter = StageMeter()
    loaded = networks()
    analysis = analyse_zip(archive, loaded, meter)
    meter(Stage.WRITE, 0, 0)
    write_results(analysis, out)
    meter.book()
    return meter.costs, loaded.periosteal.provider


def main(seed: Annotated[int, typer.Option(min=0)] = 0) -> None:
    """Measure one run."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Each in a process of its own: rendering must not show in the run's memory.
        with spawn.Pool(1, maxtasksperchild=1) as pool:
            pool.apply(write_long_series, (folder / "series.zip", seed))
            costs, provider = pool.apply(measure, (folder / "series.zip", folder))
    rows = [[c.stage, f"{c.seconds:.1f}", f"{c.peak_mib:.0f}"] for c in costs]
    total = f"{sum(c.seconds for c in costs):.1f}"
    rows.append(["all", total, f"{max(c.peak_mib for c in costs):.0f}"])
    print(f"512 x 512 x {SLICES}, {provider}\n")
    print(markdown(["stage", "s", "peak MiB"], rows))


if __name__ == "__main__":
    typer.run(main)
