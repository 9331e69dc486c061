"""Measurements, flags and provenance -> the versioned report."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.confidence import FemurConfidence
from service.domain.findings import (
    AnalysisReport,
    FemurReport,
    FlagCode,
    Provenance,
    QualityFlag,
    RegionalVolumes,
    SeriesSummary,
    Severity,
)
from service.domain.imaging import CtSeries, FemurMasks, FemurRegions, FieldOfViewCuts
from service.domain.measurements import FemurMeasurements

THICK_SLICE_MM = 1.5
"""Slices further apart set THICK_SLICES: a cortex of 1-2 mm lying in the slice plane (top of the
head, of the greater trochanter) is then thinner than a slice. The paper has 0.987 mm."""


NOT_MEASURED = FemurMeasurements()


@dataclass(frozen=True)
class FemurNumbers:
    """What was measured of one femur, and how sure the networks were of it."""

    volumes: RegionalVolumes
    measurements: FemurMeasurements = NOT_MEASURED
    confidence: FemurConfidence | None = None


_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.ERROR)


def femur_report(
    masks: FemurMasks,
    regions: FemurRegions,
    numbers: FemurNumbers,
    cuts: FieldOfViewCuts,
    flags: tuple[QualityFlag, ...] = (),
) -> FemurReport:
    """The report of one femur.

    A shaft cut by the end of the scan is no flag of its own, as a hip CT always ends in the shaft:
    ``regions`` carry TRUNCATED_DISTAL where it costs a region.

    Args:
        masks: both surfaces; the periosteal one gives the volume in view.
        regions: geometry and what could not be found.
        numbers: volumes in cm3 per region, null where not bounded, and all else.
        cuts: where the field of view cuts the bone.
        flags: of earlier stages, such as LOW_CONFIDENCE.

    Returns:
        ``complete`` when all four regions were measured; each flag code once, at its greatest
        severity, with every message of that severity.
    """
    volumes = numbers.volumes
    measured = (volumes.head, volumes.neck, volumes.trochanter, volumes.intertrochanter)
    in_view_mm3 = int(masks.periosteal.sum()) * masks.geometry.voxel_volume_mm3
    return FemurReport(
        side=masks.side,
        complete=all(region is not None for region in measured),
        volumes_cm3=volumes,
        periosteal_volume_in_view_cm3=in_view_mm3 / 1000.0,
        flags=_most_severe_of_each((*regions.flags, *_field_of_view_flags(cuts), *flags)),
        geometry=regions.geometry,
        measurements=numbers.measurements,
        confidence=numbers.confidence,
    )


def analysis_report(
    series: CtSeries,
    femurs: tuple[FemurReport, ...],
    provenance: Provenance,
) -> AnalysisReport:
    """The report of one series.

    Args:
        series: what was measured; of its identifiers only the Series Instance UID is reported.
        femurs: left first; at least one in practice, none is allowed.
        provenance: what made the report.
    """
    spacing = series.geometry.spacing_mm
    summary = SeriesSummary(
        series_instance_uid=series.series_instance_uid,
        spacing_mm=(spacing.z, spacing.y, spacing.x),
        shape_zyx=series.geometry.shape_zyx,
        slices_used=len(series.slices),
        files_set_aside=series.set_aside,
        patient_position=series.patient_position,
        geometry=series.verdict,
        candidates=series.candidates,
    )
    return AnalysisReport(
        series=summary,
        femurs=femurs,
        flags=(*series.flags, *_slice_flags(spacing.z)),
        provenance=provenance,
    )


def _slice_flags(slice_spacing_mm: float) -> tuple[QualityFlag, ...]:
    if slice_spacing_mm <= THICK_SLICE_MM:
        return ()
    message = (
        f"slices are {slice_spacing_mm:.2f} mm apart; up to {THICK_SLICE_MM} mm is advised: "
        "surfaces that lie in the slice plane and thin cortex are uncertain by about half a slice, "
        "and moments of the sections by several per cent from 2.5 mm on"
    )
    return (QualityFlag(code=FlagCode.THICK_SLICES, severity=Severity.INFO, message=message),)


def _field_of_view_flags(cuts: FieldOfViewCuts) -> tuple[QualityFlag, ...]:
    flags = []
    if cuts.proximal:
        flags.append(
            QualityFlag(
                code=FlagCode.TRUNCATED_PROXIMAL,
                severity=Severity.WARNING,
                message="the femur reaches the proximal end of the scan; begin above the head",
            )
        )
    if cuts.in_plane:
        flags.append(
            QualityFlag(
                code=FlagCode.TRUNCATED_LATERAL,
                severity=Severity.WARNING,
                message="the femur reaches the side of the reconstructed field of view; widen it",
            )
        )
    return tuple(flags)


def _most_severe_of_each(flags: tuple[QualityFlag, ...]) -> tuple[QualityFlag, ...]:
    """One flag per code, in order of first appearance, its reasons joined."""
    kept: dict[FlagCode, QualityFlag] = {}
    for flag in flags:
        held = kept.setdefault(flag.code, flag)
        if _SEVERITIES.index(flag.severity) > _SEVERITIES.index(held.severity):
            kept[flag.code] = flag
        elif flag.severity is held.severity and flag.message.removesuffix(".") not in held.message:
            both = f"{held.message.removesuffix('.')}; {flag.message}"
            kept[flag.code] = held.model_copy(update={"message": both})
    return tuple(kept.values())
