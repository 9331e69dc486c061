"""Each real series and its mirror image: the masks must be mirror images too.

``python -m tests.benchmarks.mirrored_series`` prints Markdown rows as they are done. The networks
see left femurs only, so a difference can come from resampling alone, or from cropping.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import nibabel as nib
import numpy as np
import typer

from service.adapters.upload_archive import ArchiveLimits, read_members
from service.domain.geometry import LPS_TO_RAS
from service.domain.imaging import Analysis, BoolArray
from service.errors import FemurctError
from service.pipeline.cascade import Networks
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.benchmarks.agreement import agreement
from tests.benchmarks.in_process import analyse_zip, networks
from tests.benchmarks.phantom_accuracy import whole_grid
from tests.builders.nifti_to_dicom import nifti_to_dicom
from tests.reference_data import DATA

MIRROR_X = np.diag([-1.0, 1.0, 1.0, 1.0])


def analyse_both(archive: Path, loaded: Networks) -> tuple[Analysis, Analysis]:
    """A series and its mirror image about the sagittal plane x = 0, each written anew as DICOM."""
    volume = read_volume(read_series(read_members(archive, ArchiveLimits())))
    affine_ras = LPS_TO_RAS @ volume.geometry.affine_lps
    columns = np.asarray(volume.hu, dtype=np.float32).transpose(2, 1, 0)
    backwards = np.diag([-1.0, 1.0, 1.0, 1.0])
    backwards[0, 3] = columns.shape[0] - 1
    images = {
        "as_it_is": nib.Nifti1Image(columns, affine_ras),
        "mirrored": nib.Nifti1Image(columns[::-1], MIRROR_X @ affine_ras @ backwards),
    }
    analyses = []
    with tempfile.TemporaryDirectory() as folder:
        for name, image in images.items():
            nifti, series = Path(folder) / f"{name}.nii", Path(folder) / f"{name}.zip"
            nib.save(image, nifti)
            nifti_to_dicom(nifti, series)
            analyses.append(analyse_zip(series, loaded))
    return analyses[0], analyses[1]


def rows_of(name: str, as_it_is: Analysis, mirrored: Analysis) -> list[str]:
    """Dice and mean surface distance of each femur's masks and those of its mirror image."""
    rows = []
    for femur in as_it_is.femurs:
        twins = [f for f in mirrored.femurs if f.crop.side is not femur.crop.side]
        cells = [name, femur.crop.side.value]
        for surface in ("periosteal", "endosteal"):
            own: BoolArray = whole_grid(as_it_is, femur, getattr(femur.masks, surface))
            other = np.zeros_like(own)
            if twins:
                other = whole_grid(mirrored, twins[0], getattr(twins[0].masks, surface))[:, :, ::-1]
            trusted = np.ones_like(own)
            spacing = as_it_is.source_geometry.spacing_mm
            cells.append(str(agreement(other, own, trusted, spacing)))
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def main(
    only: Annotated[str, typer.Option(help="Only series whose name contains this.")] = "",
) -> None:
    """Run each annotated proximal series of the reference data and its mirror image."""
    if not (DATA / "ct_series").is_dir():
        raise typer.BadParameter(f"no reference data at {DATA}; set FEMURCT_DATA")
    loaded = networks()
    print("| series | side | periosteal Dice / MSD | endosteal Dice / MSD |\n|---|---|---|---|")
    for archive in sorted((DATA / "ct_series").glob("*/*.zip")):
        if only not in archive.stem or not (DATA / "annotations" / archive.stem).is_dir():
            continue
        try:
            both = analyse_both(archive, loaded)
        except FemurctError as error:
            print(f"| {archive.stem} | - | `{error.code}` | - |", flush=True)
            continue
        print("\n".join(rows_of(archive.stem, *both)), flush=True)


if __name__ == "__main__":
    typer.run(main)
