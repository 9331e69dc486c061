"""Real series of the reference data with their reference masks in place of the networks'."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from model_export.annotated_series import femur_box
from service.adapters.upload_archive import ArchiveLimits, read_members
from service.domain.findings import FemurSide
from service.domain.geometry import AxisOrder, Box
from service.domain.imaging import (
    Analysis,
    BoolArray,
    CtVolume,
    FemurCrop,
    FemurMasks,
    FemurResult,
)
from service.pipeline.masks import cuts_of
from service.pipeline.measurements import measure
from service.pipeline.regions import divide
from service.pipeline.report import FemurNumbers, analysis_report, femur_report
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.analyses import provenance
from tests.reference_data import DATA

ANNOTATED = sorted(DATA.glob("annotations/STS_*"))
"""Empty without reference data."""


def reference_mask(folder: Path, surface: str) -> BoolArray:
    """``periosteal`` or ``endosteal`` of an annotation as ``[z, y, x]`` of its CT."""
    return np.asarray(nib.load(folder / f"{surface}.nii.gz").dataobj).transpose(2, 1, 0) > 0


def reference_analysis(folder: Path) -> Analysis:
    """What the pipeline would return, had the networks drawn exactly the reference masks."""
    (archive,) = DATA.glob(f"ct_series/*/{folder.name}.zip")
    series = read_series(read_members(archive, ArchiveLimits()))
    source = read_volume(series)
    order = AxisOrder.closest_to_spl(source.geometry)
    turned = CtVolume(order.apply(source.hu), order.apply_geometry(source.geometry))
    periosteal, endosteal = (
        order.apply(reference_mask(folder, surface)) for surface in ("periosteal", "endosteal")
    )
    near = femur_box(periosteal, turned.geometry.spacing_mm)
    box = Box(tuple(s.start for s in near), tuple(s.stop for s in near))
    letter = json.loads((folder / "notes.json").read_text())["side"][0].upper()
    side = FemurSide.RIGHT if letter == "R" else FemurSide.LEFT
    grid = turned.geometry.crop(box)
    masks = FemurMasks(side, periosteal[near].copy(), endosteal[near].copy(), grid)
    at_edge = tuple(
        (s.start == 0, s.stop == size)
        for s, size in zip(near, turned.geometry.shape_zyx, strict=True)
    )
    cuts = cuts_of(masks.periosteal, at_edge)
    regions = divide(masks, cuts)
    report = femur_report(masks, regions, FemurNumbers(measure(masks, regions)), cuts)
    femur = FemurResult(FemurCrop(side, box), turned.hu[near], masks, regions.labels, report)
    whole = analysis_report(series, (report,), provenance())
    return Analysis(whole, source.geometry, order, (femur,), series)
