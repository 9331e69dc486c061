"""The pipeline on every real series of the reference data: outcome, agreement, report pages.

``python -m tests.benchmarks.reference_series OUT_FOLDER`` prints Markdown rows as they are done.
"""

from __future__ import annotations

import json
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import nibabel as nib
import numpy as np
import typer

from service.artifacts.mesh import surface_of
from service.artifacts.report_page import report_pdf, report_picture
from service.domain.imaging import Analysis, FemurResult
from service.errors import FemurctError
from service.pipeline.cascade import Networks
from tests.benchmarks.agreement import agreement
from tests.benchmarks.in_process import analyse_zip, networks
from tests.benchmarks.phantom_accuracy import read_mask, whole_grid
from tests.builders.nifti_to_dicom import nifti_to_dicom
from tests.reference_data import DATA

SAME_GRID_MM = 0.1
"""Annotations whose affine differs from the CT's by more are not compared."""

HEAD = ("series", "what", "outcome", "periosteal Dice / MSD", "endosteal Dice / MSD", "s")


class Case(NamedTuple):
    """One input: its name, what it is, and a zip or a NIfTI."""

    name: str
    what: str
    path: Path


def cases(data: Path) -> Iterator[Case]:
    """Every series of the reference data."""
    for archive in sorted((data / "ct_series").glob("*/*.zip")):
        yield Case(archive.stem, archive.parent.name.replace("_", " "), archive)
    for nifti in sorted((data / "ct_series" / "bilateral_with_model_labels").glob("*_ct.nii.gz")):
        yield Case(nifti.name.removesuffix(".nii.gz"), "bilateral, implant on the left", nifti)
    for archive in sorted((data / "odd_series").glob("*.zip")):
        yield Case(archive.stem, "odd", archive)


def run_case(case: Case, loaded: Networks, data: Path, out: Path) -> tuple[str, ...]:
    """Analyse one case, save its pictures, and describe what came out; never raises."""
    started = time.monotonic()
    agreements: list[tuple[str, str]] = []
    try:
        analysis = _analyse(case, loaded)
    except FemurctError as error:
        outcome = f"`{error.code}`: {error}"
    except Exception as error:  # a crash is what this script looks for
        traceback.print_exc()
        outcome = f"CRASH {type(error).__name__}: {error}"
    else:
        outcome = "; ".join(_describe(femur) for femur in analysis.femurs)
        for femur in analysis.femurs:
            outer = surface_of(femur.masks.periosteal, femur.masks.geometry)
            page = report_picture(report_pdf(analysis.report, femur, outer))
            page.save(out / f"{case.name}_{femur.crop.side}.png")
        agreements = _agreements(analysis, data / "annotations" / case.name)
    periosteal = "; ".join(pair[0] for pair in agreements) or "-"
    endosteal = "; ".join(pair[1] for pair in agreements) or "-"
    seconds = f"{time.monotonic() - started:.0f}"
    return case.name, case.what, outcome.replace("|", "/"), periosteal, endosteal, seconds


def _analyse(case: Case, loaded: Networks) -> Analysis:
    if case.path.suffix == ".zip":
        return analyse_zip(case.path, loaded)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "series.zip"
        nifti_to_dicom(case.path, archive)
        return analyse_zip(archive, loaded)


def _describe(femur: FemurResult) -> str:
    """Side, integral volumes in cm3 and flags."""
    report = femur.report
    named = (
        ("head", report.volumes_cm3.head),
        ("neck", report.volumes_cm3.neck),
        ("troch", report.volumes_cm3.trochanter),
        ("inter", report.volumes_cm3.intertrochanter),
    )
    volumes = ", ".join(f"{name} {v.integral:.1f}" if v else f"{name} -" for name, v in named)
    flags = " ".join(flag.code.value for flag in report.flags)
    return f"{report.side}: {volumes} cm3 {flags}".rstrip()


def _agreements(analysis: Analysis, folder: Path) -> list[tuple[str, str]]:
    """Periosteal (trust >= 1) and endosteal (trust 2) agreement of the annotated side."""
    if not folder.is_dir():
        return []
    side = str(json.loads((folder / "notes.json").read_text())["side"])[:1].upper()
    femurs = [f for f in analysis.femurs if f.crop.side.value[:1].upper() == side]
    if not femurs:
        return [("annotated side not found", "-")]
    affine = nib.load(folder / "trust.nii.gz").affine
    if not np.allclose(affine, analysis.source_geometry.affine_ras, atol=SAME_GRID_MM):
        return [("another grid", "another grid")]
    trust = read_mask(folder / "trust.nii.gz")
    pair = []
    for name, least in (("periosteal", 1), ("endosteal", 2)):
        mask = getattr(femurs[0].masks, name)
        value = agreement(
            whole_grid(analysis, femurs[0], mask),
            read_mask(folder / f"{name}.nii.gz") > 0,
            trust >= least,
            analysis.source_geometry.spacing_mm,
        )
        pair.append(str(value))
    return [(pair[0], pair[1])]


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the report pages.")],
    only: Annotated[str, typer.Option(help="Only series whose name contains this.")] = "",
) -> None:
    """Run every series of the reference data through the in-process pipeline."""
    if not (DATA / "ct_series").is_dir():
        raise typer.BadParameter(f"no reference data at {DATA}; set FEMURCT_DATA")
    out.mkdir(parents=True, exist_ok=True)
    loaded = networks()
    print("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|", flush=True)
    for case in cases(DATA):
        if only in case.name:
            print("| " + " | ".join(run_case(case, loaded, DATA, out)) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
