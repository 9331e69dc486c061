"""All files of one result: report, masks on the CT's grid, previews. None names a patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import RootModel

from service.artifacts.nifti import write_nifti
from service.artifacts.preview import preview
from service.artifacts.rle import RunLengths, encode
from service.artifacts.source_grid import ByteArray, on_source_grid
from service.domain.imaging import Analysis, FemurRegion, FemurResult

REPORT_NAME = "report.json"
RUN_LENGTHS_NAME = "masks_rle.json"


class MaskRuns(RootModel[dict[str, RunLengths]]):
    """``masks_rle.json``: run lengths of masks on the CT's grid.

    Per side ``{side}_periosteal``, ``{side}_endosteal`` and one per region, ``{side}_head`` etc.
    """


def write_results(analysis: Analysis, directory: Path) -> tuple[str, ...]:
    """Write every artifact of an analysis into an existing directory.

    ``report.json``, ``masks_rle.json`` and, per side, ``{side}_periosteal.nii.gz``,
    ``{side}_endosteal.nii.gz``, ``{side}_regions.nii.gz`` and ``{side}_preview.png``. One
    full-size volume is held at a time.

    Args:
        analysis: may hold no femur; then only the two JSON files are written.
        directory: where to write; files of the same names are replaced.

    Returns:
        The names written, in order.

    Raises:
        GeometryError: if a femur's masks do not fit the source grid.
        OSError: if the directory cannot be written.
    """
    names = [REPORT_NAME, RUN_LENGTHS_NAME]
    runs: dict[str, RunLengths] = {}
    for femur in analysis.femurs:
        side = femur.crop.side.value
        names += _write_masks(analysis, femur, directory, runs)
        preview(femur).save(directory / f"{side}_preview.png")
        names.append(f"{side}_preview.png")
    report = analysis.report.model_dump_json(by_alias=True, indent=2)
    (directory / REPORT_NAME).write_text(report + "\n", encoding="utf-8")
    (directory / RUN_LENGTHS_NAME).write_text(MaskRuns(runs).model_dump_json(), encoding="utf-8")
    return tuple(names)


def _write_masks(
    analysis: Analysis, femur: FemurResult, directory: Path, runs: dict[str, RunLengths]
) -> list[str]:
    """Write one femur's three label volumes and add its run lengths to ``runs``."""
    side = femur.crop.side.value

    def deliver(name: str, values: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> ByteArray:
        full = on_source_grid(values, femur.crop.box, analysis.axis_order, analysis.source_geometry)
        write_nifti(full, analysis.source_geometry, directory / f"{side}_{name}.nii.gz")
        return full

    runs[f"{side}_periosteal"] = encode(deliver("periosteal", femur.masks.periosteal))
    runs[f"{side}_endosteal"] = encode(deliver("endosteal", femur.masks.endosteal))
    regions = deliver("regions", femur.labels)
    for region in FemurRegion:
        runs[f"{side}_{region.name.lower()}"] = encode(regions == region)
    return [f"{side}_{name}.nii.gz" for name in ("periosteal", "endosteal", "regions")]
