"""An Analysis of a made-up femur on any source grid: a box with a smaller box inside it."""

from __future__ import annotations

import numpy as np

from service.domain.findings import (
    AnalysisReport,
    Compartments,
    FemurGeometry,
    FemurReport,
    FemurSide,
    FlagCode,
    ModelUsed,
    Provenance,
    QualityFlag,
    RegionalVolumes,
    SeriesSummary,
    Severity,
)
from service.domain.geometry import AxisOrder, Box, SpacingMm, VolumeGeometry
from service.domain.imaging import (
    Analysis,
    CtSeries,
    CtSlice,
    FemurCrop,
    FemurMasks,
    FemurRegion,
    FemurResult,
)
from tests.builders.ct_series import CtSeriesSpec, build_slices, to_members

SERIES_UID = "1.2.826.0.1.3680043.8.498.1"

FLAG = QualityFlag(
    code=FlagCode.TRUNCATED_DISTAL, severity=Severity.WARNING, message="the shaft is cut"
)


def axial_geometry(
    shape_zyx: tuple[int, int, int] = (24, 30, 28),
) -> VolumeGeometry:
    """Head first, supine, ascending; 1 mm pixels, slices 2 mm apart."""
    return VolumeGeometry.axis_aligned(shape_zyx, SpacingMm(2.0, 1.0, 1.0), (-40.0, -30.0, 100.0))


def provenance() -> Provenance:
    """Two models on a CPU."""
    models = tuple(
        ModelUsed(role=role, sha256="0" * 64, provider="CPUExecutionProvider")
        for role in ("periosteal", "endosteal")
    )
    return Provenance(femurct_version="0.1.0", input_sha256="1" * 64, models=models, stride_z=None)


def volumes(*, complete: bool = True) -> RegionalVolumes:
    """1 cm3 each, a quarter of it cortical; without ``complete`` the intertrochanter is missing."""
    part = Compartments(integral=1.0, cortical=0.25, trabecular=0.75)
    missing = part if complete else None
    return RegionalVolumes(
        head=part,
        neck=part,
        trochanter=part,
        intertrochanter=missing,
        combination=missing,
        total=missing,
    )


def source_series(geometry: VolumeGeometry) -> CtSeries:
    """CT files of a patient on this grid, all 0 HU."""
    spacing = geometry.spacing_mm
    row, column = (geometry.affine_lps[:3, axis] for axis in (0, 1))
    spec = CtSeriesSpec(
        stored=np.zeros(geometry.shape_zyx, np.int16),
        orientation=(*row / spacing.x, *column / spacing.y),
        spacing_zyx_mm=tuple(spacing),
        series_uid=SERIES_UID,
    )
    files = build_slices(spec)
    positions = [geometry.index_to_lps((k, 0, 0)) for k in range(len(files))]
    for ds, position in zip(files, positions, strict=True):
        ds.ImagePositionPatient = [round(float(v), 6) for v in position]
    slices = tuple(
        CtSlice(member, ds.SOPInstanceUID, (x, y, z), 1.0, 0.0)
        for member, ds, (x, y, z) in zip(to_members(files), files, positions, strict=True)
    )
    return CtSeries(
        series_instance_uid=SERIES_UID,
        study_instance_uid=files[0].StudyInstanceUID,
        frame_of_reference_uid=files[0].FrameOfReferenceUID,
        slices=slices,
        geometry=geometry,
        patient_position="HFS",
        set_aside=0,
    )


def analysis(source: VolumeGeometry, *sides: FemurSide) -> Analysis:
    """An analysis with a made-up femur for each side (left unless told), all in the same box."""
    order = AxisOrder.closest_to_spl(source)
    turned = order.apply_geometry(source)
    femurs = tuple(_femur(side, turned) for side in sides or (FemurSide.LEFT,))
    spacing = source.spacing_mm
    summary = SeriesSummary(
        series_instance_uid=SERIES_UID,
        spacing_mm=(spacing.z, spacing.y, spacing.x),
        shape_zyx=source.shape_zyx,
        slices_used=source.shape_zyx[0],
        files_set_aside=0,
        patient_position="HFS",
    )
    report = AnalysisReport(
        series=summary, femurs=tuple(f.report for f in femurs), provenance=provenance()
    )
    return Analysis(report, source, order, femurs, source_series(source))


def _femur(side: FemurSide, turned: VolumeGeometry) -> FemurResult:
    z, y, x = turned.shape_zyx
    box = Box((1, 2, 3), (z - 1, y - 1, x - 2))
    grid = turned.crop(box)
    periosteal = np.zeros(box.shape_zyx, dtype=bool)
    periosteal[1:-1, 2:-2, 2:-2] = True
    endosteal = np.zeros_like(periosteal)
    endosteal[2:-2, 4:-4, 4:-4] = True
    height = box.shape_zyx[0]
    labels = np.zeros(box.shape_zyx, dtype=np.uint8)
    for number, region in enumerate(reversed(FemurRegion)):
        labels[height * (number + 1) // 5 :] = region
    labels[~periosteal] = 0
    hu = np.where(endosteal, 100, np.where(periosteal, 1200, 40)).astype(np.int16)
    report = FemurReport(
        side=side,
        complete=True,
        volumes_cm3=volumes(),
        periosteal_volume_in_view_cm3=4.0,
        flags=(FLAG,),
        geometry=FemurGeometry(),
    )
    masks = FemurMasks(side, periosteal, endosteal, grid)
    return FemurResult(FemurCrop(side, box), hu, masks, labels, report)
