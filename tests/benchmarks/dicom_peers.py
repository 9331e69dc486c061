"""Other readers of CT series, each called as its documentation shows: folder -> volumes.

SimpleITK, dicom2nifti and dcm2niix come with the extra ``peers`` (``pip install -e .[peers]``, best
in an environment of its own: their GDCM would otherwise decode for pydicom, too).
"""

from __future__ import annotations

import importlib.util
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom

from service.adapters.upload_archive import ArchiveLimits, read_members
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class PeerVolume(NamedTuple):
    """What a reader returned: HU ``[z, y, x]`` and (x, y, z index, 1) -> LPS mm."""

    hu: npt.NDArray[np.generic]
    affine_lps: npt.NDArray[np.float64]


Reader = Callable[[Path, Path], list[PeerVolume]]
"""From a folder of files, or a zip for femurct, with a scratch folder; raises where it refuses."""


def read_femurct(archive: Path, scratch: Path) -> list[PeerVolume]:
    """This project, from the zip."""
    volume = read_volume(read_series(read_members(archive, ArchiveLimits())))
    return [PeerVolume(volume.hu, volume.geometry.affine_lps)]


def read_simpleitk(folder: Path, scratch: Path) -> list[PeerVolume]:
    """ImageSeriesReader on the first series that GDCM finds."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = directions * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return [PeerVolume(SimpleITK.GetArrayFromImage(image), affine)]


def read_dicom2nifti(folder: Path, scratch: Path) -> list[PeerVolume]:
    """convert_directory, not reoriented."""
    import dicom2nifti

    dicom2nifti.convert_directory(str(folder), str(scratch), compression=False, reorient=False)
    return _niftis(scratch)


def read_highdicom(folder: Path, scratch: Path) -> list[PeerVolume]:
    """get_volume_from_series on the CT files of the series with the most."""
    import highdicom

    by_series: dict[str, list[pydicom.Dataset]] = {}
    for path in sorted(folder.iterdir()):
        try:
            ds = pydicom.dcmread(path)
        except pydicom.errors.InvalidDicomError:
            continue
        if ds.get("Modality") == "CT":
            by_series.setdefault(str(ds.get("SeriesInstanceUID")), []).append(ds)
    datasets = max(by_series.values(), key=len)
    if len(datasets) == 1 and "NumberOfFrames" in datasets[0]:
        volume = highdicom.Image.from_dataset(datasets[0]).get_volume()
    else:
        volume = highdicom.get_volume_from_series(datasets)
    # its axes are slice, row, column; ours x, y, z are column, row, slice
    affine = volume.affine[:, [2, 1, 0, 3]]
    return [PeerVolume(volume.array, affine)]


def convert_with_dcm2niix(folder: Path, out: Path) -> None:
    """The command line tool, uncompressed, without sidecar."""
    import dcm2niix

    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-o", str(out), str(folder)]
    subprocess.run(command, check=False, capture_output=True, timeout=300)


def read_dcm2niix(folder: Path, scratch: Path) -> list[PeerVolume]:
    """What dcm2niix wrote."""
    convert_with_dcm2niix(folder, scratch)
    return _niftis(scratch)


PEERS: dict[str, Reader] = {
    "SimpleITK": read_simpleitk,
    "dicom2nifti": read_dicom2nifti,
    "highdicom": read_highdicom,
    "dcm2niix": read_dcm2niix,
}


def installed_peers() -> dict[str, Reader]:
    """The readers that can be imported here; says which cannot."""
    found = {name: r for name, r in PEERS.items() if importlib.util.find_spec(name) is not None}
    for name in PEERS.keys() - found.keys():
        print(f"{name} is not installed and left out; pip install -e .[peers]")
    return found


def _niftis(folder: Path) -> list[PeerVolume]:
    volumes = []
    for path in sorted(folder.glob("*.nii*")):
        image = nib.load(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hu = np.asarray(image.dataobj)
        if hu.ndim == 3:
            volumes.append(PeerVolume(hu.transpose(2, 1, 0), LPS_FROM_RAS @ image.affine))
    return volumes
