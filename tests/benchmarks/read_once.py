"""One reader reads one zip, once: ``python -m tests.benchmarks.read_once READER ZIP`` prints JSON.

Nothing is imported that the reader does not need, so that its memory is its own, and it may run in
an environment that holds neither this project nor its dependencies.
"""

from __future__ import annotations

import importlib
import json
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

READERS = {
    "femurct": (
        "imagecodecs",
        "service.adapters.upload_archive",
        "service.pipeline.series",
        "service.pipeline.volume",
    ),
    "pydicom loop": ("numpy", "pydicom"),
    "SimpleITK": ("SimpleITK",),
    "dcm2niix": (),
}
"""What each imports; imports are not timed."""

NIFTI_HEADER_BYTES = 352


class HuSum(NamedTuple):
    """What tells that two readers read the same: number of voxels and sum of their HU."""

    voxels: int
    hu: int


Summed = Callable[[], HuSum]
"""A reader returns how to sum what it read, so that summing is not timed."""


def read_femurct(archive: Path, scratch: Path) -> Summed:
    """This project, from the zip: every check included."""
    from service.adapters.upload_archive import ArchiveLimits, read_members
    from service.pipeline.series import read_series
    from service.pipeline.volume import read_volume

    hu = read_volume(read_series(read_members(archive, ArchiveLimits()))).hu
    return lambda: HuSum(hu.size, int(hu.sum(dtype="int64")))


def read_in_a_loop(archive: Path, scratch: Path) -> Summed:
    """Pydicom as its tutorial has it, from the zip: read, sort, rescale, stack."""
    import io

    import numpy as np
    import pydicom

    with zipfile.ZipFile(archive) as files:
        slices = [pydicom.dcmread(io.BytesIO(files.read(name))) for name in files.namelist()]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    hu = np.stack([ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept for ds in slices])
    return lambda: HuSum(hu.size, int(hu.sum()))


def read_simpleitk(archive: Path, scratch: Path) -> Summed:
    """Unpacked to disk, then ImageSeriesReader; the volume stays in SimpleITK's own image."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(_unpacked(archive, scratch))))
    image = reader.Execute()

    def summed() -> HuSum:
        view = SimpleITK.GetArrayViewFromImage(image)
        return HuSum(view.size, int(view.sum(dtype="int64")))

    return summed


def read_dcm2niix(archive: Path, scratch: Path) -> Summed:
    """Unpacked to disk, then converted to an uncompressed NIfTI file: its result is no array."""
    folder, out = _unpacked(archive, scratch), scratch / "out"
    out.mkdir()
    command = [_dcm2niix(), "-z", "n", "-b", "n", "-o", str(out), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)

    def summed() -> HuSum:
        (path,) = out.glob("*.nii")
        content = path.read_bytes()
        slope, intercept = struct.unpack_from("<ff", content, 112)  # scl_slope, scl_inter
        stored = array("h", content[NIFTI_HEADER_BYTES:])
        return HuSum(len(stored), round(sum(stored) * slope + intercept * len(stored)))

    return summed


def is_installed(reader: str) -> bool:
    """Whether this environment has what the reader needs."""
    found = all(importlib.util.find_spec(name) for name in READERS[reader])
    return found and (reader != "dcm2niix" or bool(_dcm2niix()))


def _dcm2niix() -> str:
    """The program of the package dcm2niix, or the one on PATH; empty where there is none."""
    if importlib.util.find_spec("dcm2niix"):
        return str(importlib.import_module("dcm2niix").bin)
    return shutil.which("dcm2niix") or ""


def _unpacked(archive: Path, scratch: Path) -> Path:
    folder = scratch / "files"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def _peak_mib() -> float:
    """Of this process since it began, or of its largest child.

    ``ru_maxrss`` of the process itself would count its parent's memory, too.
    """
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def _cpu_seconds() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, both))


@contextmanager
def _measured(found: dict[str, Any]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), _cpu_seconds()
    yield
    found["wall_s"] = time.perf_counter() - wall
    found["cpu_s"] = _cpu_seconds() - cpu
    found["peak_mib"] = _peak_mib()


def main(reader: str, archive: Path) -> None:
    """Read, then print what it took and what was read; ``null`` where the reader is missing."""
    if not is_installed(reader):
        print("null")
        return
    for name in READERS[reader]:
        importlib.import_module(name)
    read = {
        "femurct": read_femurct,
        "pydicom loop": read_in_a_loop,
        "SimpleITK": read_simpleitk,
        "dcm2niix": read_dcm2niix,
    }[reader]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        with _measured(found):
            summed = read(archive, Path(scratch))
        found["voxels"], found["hu"] = summed()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
