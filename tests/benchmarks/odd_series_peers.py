"""The corpus of odd series through this project and other readers: right, wrong or refused.

``python -m tests.benchmarks.odd_series_peers`` prints Markdown (docs/dicom.md). *Right*: one of the
volumes that were returned holds every voxel that the files describe, within 0.01 mm, with its HU.
*Wrong*: volumes were returned, and none does, or the files describe none (no rescale slope, say).
*Refused*: an error, or no volume.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from service.errors import SeriesError
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.benchmarks.dicom_peers import PeerVolume, Reader, installed_peers
from tests.benchmarks.phantom_accuracy import markdown
from tests.builders.odd_case import OddSeries
from tests.builders.odd_series import CASES, build_case
from tests.builders.voxel_places import misplaced_voxels

RIGHT, WRONG, REFUSED = "right", "WRONG", "refused"


def verdict_of(case: OddSeries, volumes: list[PeerVolume]) -> str:
    """What the returned volumes are worth."""
    if not volumes:
        return REFUSED
    for truth in case.built.truths:
        for volume in volumes:
            if misplaced_voxels(truth, volume.hu, volume.affine_lps, case.tolerance_mm) == 0:
                return RIGHT
    return WRONG


def verdict_of_peer(case: OddSeries, read: Reader, folder: Path) -> str:
    """Write the case's files, read them as the peer does."""
    files, scratch = folder / "files", folder / "scratch"
    for path in (files, scratch):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    for member in case.built.members:
        (files / f"{member.position:04d}.dcm").write_bytes(member.content)
    return _verdict(case, lambda: read(files, scratch))


def verdict_of_femurct(case: OddSeries) -> str:
    """This project, with the options that the case names."""

    def read() -> list[PeerVolume]:
        series = read_series(
            case.built.members,
            resample_gaps=case.resample_gaps,
            expected_instances=case.expected_instances,
        )
        volume = read_volume(series)
        return [PeerVolume(volume.hu, volume.geometry.affine_lps)]

    try:
        return verdict_of(case, read())
    except SeriesError:
        return REFUSED


def _verdict(case: OddSeries, read: Callable[[], list[PeerVolume]]) -> str:
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            volumes = read()
        except Exception:  # whatever a reader raises is its refusal
            return REFUSED
        return verdict_of(case, volumes)


def main() -> None:
    """Print one row per rule, and totals."""
    logging.disable(logging.CRITICAL)
    readers = installed_peers()
    names = ["femurct", *readers]
    rows, totals = [], {name: Counter[str]() for name in names}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rule, group in groupby(CASES, key=lambda pair: pair[0]):
            counts = {name: Counter[str]() for name in names}
            for _, orientation in group:
                case = build_case(rule, orientation)
                counts["femurct"][verdict_of_femurct(case)] += 1
                for peer, read in readers.items():
                    counts[peer][verdict_of_peer(case, read, folder)] += 1
            for reader, found in counts.items():
                totals[reader] += found
            rows.append([rule.name, *(_cell(counts[reader]) for reader in names)])
    print(markdown(["series", *names], rows))
    print()
    summary = [[v, *(str(totals[reader][v]) for reader in names)] for v in (RIGHT, REFUSED, WRONG)]
    print(markdown([f"of {len(CASES)}", *names], summary))


def _cell(found: Counter[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{found[v]} {v}" for v in (RIGHT, REFUSED, WRONG) if found[v])


if __name__ == "__main__":
    main()
