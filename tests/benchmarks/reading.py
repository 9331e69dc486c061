"""Reading a 512 x 512 x 250 series: zip on disk -> HU volume in memory, beside other readers.

    python3 -m venv peers && peers/bin/pip install SimpleITK dcm2niix
    .venv/bin/python -m tests.benchmarks.reading --peers-python peers/bin/python

prints Markdown. Every reading is a process of its own; imports are not timed. Readers take turns,
after a round that only fills the disk cache, and the median of ``REPEATS`` rounds counts. Readers
that know no zip unpack it to disk first, which counts, too: the upload is a zip. dcm2niix writes a
NIfTI file, and its time ends there. All must come to the same voxels and the same sum of HU.
"""

from __future__ import annotations

import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pydicom
import typer
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from scipy import ndimage

from tests.benchmarks.phantom_accuracy import markdown
from tests.benchmarks.read_once import READERS
from tests.builders.ct_series import CtSeriesSpec, build_slices, encode

SLICES, SIDE = 250, 512
DISTINCT = 10
"""Slices with pixels of their own; the others repeat them in other places."""

REPEATS = 3
NOISE_HU = 12.0
"""Of a soft kernel at 1 mm; it decides how far CT can be compressed."""

PRIVATE_ELEMENTS = 80
"""Scanners write about as many beside what the standard asks for."""

SYNTAXES = {
    "uncompressed": ExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}
OWN = ("femurct", "pydicom loop")
"""Readers that run in this environment; the others run in the peers'."""


class Reading(NamedTuple):
    """What one reading took, and what tells that it read the same as the others."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    voxels: int
    hu: int


def write_archive(path: Path, syntax: UID, slices: int) -> None:
    """A zip as archives make it: deflated, one file per slice."""
    rng = np.random.default_rng(5)
    blobs = ndimage.gaussian_filter(rng.normal(size=(DISTINCT, SIDE, SIDE)), (1, 9, 9)) * 4000
    stored = np.asarray(blobs + rng.normal(scale=NOISE_HU, size=blobs.shape) + 1000, np.int16)
    body = np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]) < 0.8
    spec = CtSeriesSpec(stored=np.where(body, stored, np.int16(0)), intercept=-1024)
    distinct = [pydicom.dcmread(io.BytesIO(encode(ds, syntax))) for ds in build_slices(spec)]
    for ds in distinct:
        block = ds.private_block(0x0019, "SCANNER", create=True)
        for number in range(PRIVATE_ELEMENTS):
            block.add_new(number, "LO", f"private value {number}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for number in range(slices):
            ds = distinct[number % DISTINCT]
            ds.SOPInstanceUID = f"1.2.3.{number}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.InstanceNumber = number + 1
            ds.ImagePositionPatient = [-200, -200, float(number)]
            stream = io.BytesIO()
            ds.save_as(stream)
            archive.writestr(f"{number:04d}.dcm", stream.getvalue())


def read_once(reader: str, archive: Path, python: str) -> Reading | None:
    """One reading in a process of its own; None where the reader is not installed."""
    command = [python, "-m", "tests.benchmarks.read_once", reader, str(archive)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    found = json.loads(answer.stdout)
    return None if found is None else Reading(**found)


def measure(archive: Path, repeats: int, peers_python: str) -> dict[str, list[Reading]]:
    """Readings by reader, in rounds.

    Raises:
        ValueError: if two readers read different voxels.
    """
    found: dict[str, list[Reading]] = {reader: [] for reader in READERS}
    for turn in range(repeats + 1):
        for reader in READERS:
            reading = read_once(reader, archive, sys.executable if reader in OWN else peers_python)
            if reading is not None and turn:
                found[reader].append(reading)
    contents = {(r.voxels, r.hu) for readings in found.values() for r in readings}
    if len(contents) > 1:
        raise ValueError(f"readers disagree on (voxels, sum of HU): {sorted(contents)}")
    return {reader: readings for reader, readings in found.items() if readings}


def main(
    slices: Annotated[int, typer.Option(min=3)] = SLICES,
    repeats: Annotated[int, typer.Option(min=1)] = REPEATS,
    peers_python: Annotated[str, typer.Option(help="has SimpleITK, dcm2niix")] = sys.executable,
) -> None:
    """Measure every reader on every syntax."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for title, syntax in SYNTAXES.items():
            archive = Path(name) / "series.zip"
            write_archive(archive, syntax, slices)
            for reader, readings in measure(archive, repeats, peers_python).items():
                wall, cpu, peak = (
                    statistics.median(column) for column in list(zip(*readings, strict=True))[:3]
                )
                rows.append([title, reader, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}"])
                print(*rows[-1], file=sys.stderr, flush=True)
    cores = len(os.sched_getaffinity(0))
    print(f"512 x 512 x {slices}, median of {repeats}, {cores} cores, {platform.machine()}\n")
    print(markdown(["pixels", "reader", "wall s", "CPU s", "peak MiB"], rows))
    missing = READERS.keys() - {row[1] for row in rows}
    if missing:
        print(f"\nNot installed, so left out: {', '.join(sorted(missing))}; see --peers-python.")


if __name__ == "__main__":
    typer.run(main)
