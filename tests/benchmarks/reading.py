"""Reading a 512 x 512 x 250 series from a zip: wall time and peak memory beside other readers.

``python -m tests.benchmarks.reading`` prints Markdown. Each reading has a process of its own, after
one unmeasured reading that fills the disk cache; the best of ``REPEATS`` counts. Readers that know
no zip unpack it to disk first, which counts, too: the upload is a zip.
"""

from __future__ import annotations

import importlib
import io
import multiprocessing
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

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

from tests.benchmarks.dicom_peers import (
    PEERS,
    convert_with_dcm2niix,
    installed_peers,
    read_femurct,
    read_simpleitk,
)
from tests.benchmarks.phantom_accuracy import markdown
from tests.builders.ct_series import CtSeriesSpec, build_slices, encode

SLICES, SIDE = 250, 512
DISTINCT = 10
"""Slices with pixels of their own; the others repeat them in other places."""

REPEATS = 3
NOISE_HU = 12.0
"""Of a soft kernel at 1 mm; it decides how far CT can be compressed."""

SYNTAXES = {
    "uncompressed": ExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def write_archive(path: Path, syntax: UID) -> None:
    """A zip as archives make it: deflated, one file per slice."""
    rng = np.random.default_rng(5)
    blobs = ndimage.gaussian_filter(rng.normal(size=(DISTINCT, SIDE, SIDE)), (1, 9, 9)) * 4000
    stored = np.asarray(blobs + rng.normal(scale=NOISE_HU, size=blobs.shape) + 1000, np.int16)
    body = np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]) < 0.8
    spec = CtSeriesSpec(stored=np.where(body, stored, np.int16(-1000)))
    distinct = [pydicom.dcmread(io.BytesIO(encode(ds, syntax))) for ds in build_slices(spec)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for number in range(SLICES):
            ds = distinct[number % DISTINCT]
            ds.SOPInstanceUID = f"1.2.3.{number}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.ImagePositionPatient = [-200, -200, float(number)]
            stream = io.BytesIO()
            ds.save_as(stream)
            archive.writestr(f"{number:04d}.dcm", stream.getvalue())


def read_in_a_loop(archive: Path, scratch: Path) -> None:
    """Pydicom as its tutorial has it: read, sort, rescale, stack."""
    with zipfile.ZipFile(archive) as files:
        slices = [pydicom.dcmread(io.BytesIO(files.read(name))) for name in files.namelist()]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    np.stack([ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept for ds in slices])


def unpack_and_read(peer: str, archive: Path, scratch: Path) -> None:
    """A reader that wants a folder; dcm2niix is done when its NIfTI file is written."""
    files, out = scratch / "files", scratch / "out"
    files.mkdir()
    out.mkdir()
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(files)
    if peer == "dcm2niix":
        convert_with_dcm2niix(files, out)
    else:
        read_simpleitk(files, out)


def measure(reader: str, archive: Path) -> tuple[float, float]:
    """Wall seconds and peak MiB of one reading; imports are not counted."""
    if reader in PEERS:
        importlib.import_module(reader)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        read = _reader(reader, archive, scratch)
        begin = time.perf_counter()
        read()
        seconds = time.perf_counter() - begin
    whose = resource.RUSAGE_CHILDREN if reader == "dcm2niix" else resource.RUSAGE_SELF
    return seconds, resource.getrusage(whose).ru_maxrss / 1024


def _reader(reader: str, archive: Path, scratch: Path) -> Callable[[], object]:
    if reader == "femurct":
        return lambda: read_femurct(archive, scratch)
    if reader == "pydicom loop":
        return lambda: read_in_a_loop(archive, scratch)
    return lambda: unpack_and_read(reader, archive, scratch)


def main(repeats: Annotated[int, typer.Option(min=1)] = REPEATS) -> None:
    """Measure every reader on every syntax."""
    readers = ["femurct", "pydicom loop"]
    readers += [name for name in ("SimpleITK", "dcm2niix") if name in installed_peers()]
    spawn = multiprocessing.get_context("spawn")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for title, syntax in SYNTAXES.items():
            archive = Path(name) / "series.zip"
            with spawn.Pool(1) as pool:
                pool.apply(write_archive, (archive, syntax))
            for reader in readers:
                found = []
                for _ in range(repeats + 1):
                    with spawn.Pool(1) as pool:
                        found.append(pool.apply(measure, (reader, archive)))
                best = min(found[1:])
                rows.append([title, reader, f"{best[0]:.2f}", f"{best[1]:.0f}"])
                print(*rows[-1], flush=True)
    print()
    print(markdown(["pixels", "reader", "s", "peak MiB"], rows))


if __name__ == "__main__":
    typer.run(main)
