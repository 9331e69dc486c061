"""All files of one result: report, masks on the CT's grid, meshes, pages, DICOM objects.

The two DICOM files keep the CT's patient and study; no other file names a patient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import RootModel

from service.artifacts.dicom_seg import write_segmentation
from service.artifacts.dicom_source import DicomSource
from service.artifacts.dicom_sr import write_measurements
from service.artifacts.mesh import Mesh, Surface, surface_of, write_glb, write_stl
from service.artifacts.nifti import write_nifti
from service.artifacts.palette import ENDOSTEAL, PERIOSTEAL
from service.artifacts.report_page import report_pdf, report_picture
from service.artifacts.rle import RunLengths, encode
from service.artifacts.segments import segments_of
from service.artifacts.source_grid import ByteArray, on_source_grid
from service.domain.imaging import Analysis, FemurRegion, FemurResult

REPORT_NAME = "report.json"
RUN_LENGTHS_NAME = "masks_rle.json"
SEGMENTATION_NAME = "segmentation.dcm"
MEASUREMENTS_NAME = "measurements.dcm"

PNG_COMPRESSION = 3
"""Half the time of the default for a file 7 % larger."""

OUTER_OPACITY = 0.4
"""The outer surface lets the inner one through."""


class MaskRuns(RootModel[dict[str, RunLengths]]):
    """``masks_rle.json``: run lengths of masks on the CT's grid.

    Per side ``{side}_periosteal``, ``{side}_endosteal`` and one per region, ``{side}_head`` etc.
    """


def write_results(analysis: Analysis, directory: Path) -> tuple[str, ...]:
    """Write every artifact of an analysis into an existing directory.

    ``report.json``, ``masks_rle.json`` and, per side, ``{side}_periosteal.nii.gz``,
    ``{side}_endosteal.nii.gz``, ``{side}_regions.nii.gz``, ``{side}_periosteal.stl``,
    ``{side}_endosteal.stl``, ``{side}.glb``, ``{side}_report.pdf`` and ``{side}_report.png``;
    ``segmentation.dcm`` and ``measurements.dcm`` for both sides. One full-size volume is held at a
    time. No mesh of an endosteal surface that was not found.

    Args:
        analysis: may hold no femur; then only the two JSON files are written.
        directory: where to write; files of the same names are replaced.

    Returns:
        The names written, in order.

    Raises:
        GeometryError: if a femur's masks do not fit the source grid.
        ArtifactError: ``segmentation_mismatch``, if the DICOM segmentation is not the masks.
        OSError: if the directory cannot be written.
    """
    names = [REPORT_NAME, RUN_LENGTHS_NAME]
    runs: dict[str, RunLengths] = {}
    for femur in analysis.femurs:
        names += _write_masks(analysis, femur, directory, runs)
        outer = surface_of(femur.masks.periosteal, femur.masks.geometry)
        names += _write_meshes(femur, outer, directory)
        names += _write_page(analysis, femur, outer, directory)
    names += _write_dicom(analysis, directory)
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


def _write_meshes(femur: FemurResult, outer: Mesh, directory: Path) -> list[str]:
    """Write one femur's surfaces, each as STL and all in one glTF."""
    side = femur.crop.side.value
    surfaces = [Surface("periosteal", PERIOSTEAL, OUTER_OPACITY, outer)]
    if femur.masks.endosteal.any():
        inner = surface_of(femur.masks.endosteal, femur.masks.geometry)
        surfaces.append(Surface("endosteal", ENDOSTEAL, 1.0, inner))
    for surface in surfaces:
        write_stl(surface.mesh, directory / f"{side}_{surface.name}.stl")
    write_glb(tuple(surfaces), directory / f"{side}.glb")
    return [*(f"{side}_{surface.name}.stl" for surface in surfaces), f"{side}.glb"]


def _write_page(analysis: Analysis, femur: FemurResult, outer: Mesh, directory: Path) -> list[str]:
    """Write one femur's page, as PDF and as picture."""
    pdf, png = (f"{femur.crop.side.value}_report.{kind}" for kind in ("pdf", "png"))
    page = report_pdf(analysis.report, femur, outer)
    (directory / pdf).write_bytes(page)
    report_picture(page).save(directory / png, compress_level=PNG_COMPRESSION)
    return [pdf, png]


def _write_dicom(analysis: Analysis, directory: Path) -> list[str]:
    """Write segmentation and measurements; neither where no mask has a voxel."""
    segments = segments_of(analysis)
    if not segments:
        return []
    source = DicomSource(analysis.series)
    seg = write_segmentation(analysis, segments, source, directory / SEGMENTATION_NAME)
    write_measurements(analysis, segments, seg, source, directory / MEASUREMENTS_NAME)
    return [SEGMENTATION_NAME, MEASUREMENTS_NAME]
