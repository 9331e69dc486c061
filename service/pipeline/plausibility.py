"""Whether regional volumes are those of an adult's femur."""

from __future__ import annotations

from typing import NamedTuple

from service.domain.findings import FlagCode, QualityFlag, RegionalVolumes, Severity


class PlausibleRange(NamedTuple):
    """Integral volumes of adults, in cm3, inclusive."""

    low_cm3: float
    high_cm3: float


HEAD = PlausibleRange(17.0, 115.0)
"""Spheres of 33 and 60.4 mm, the lower less a tenth for the cap towards the neck. Mean head
diameters run from 40.1 mm (Thai women: Saengnipanthkul, J Med Assoc Thai 2012) to 49.2 mm (Kashmiri
men, SD 3.75 mm: Kour, NeuroQuantology 2023); two SD below the one, three above the other. The
paper's heads: 38.9 +- 17.1 cm3 (Table 2)."""

NECK = PlausibleRange(3.5, 36.0)
"""The mean femur of the shape model (docs/phantoms.md) has 15.2 cm3 at a head of 45.6 mm; scaled by
the cube of those diameters 5.8 to 35.3. Lowered to 3.5, as degenerate hips have short necks
(phantoms: 11.5 +- 4.0 cm3). Mindways' neck (paper: 6.8 +- 5.4 cm3) is a part of ours."""

COMBINATION = PlausibleRange(30.0, 290.0)
"""From two SD below the paper's 71.2 +- 20.4 cm3 (Table 2) to that of the generated hips (124.8
+- 19.4, docs/benchmarks.md) scaled to a head of 60.4 mm."""


def plausibility_flags(volumes: RegionalVolumes) -> tuple[QualityFlag, ...]:
    """IMPLAUSIBLE_VOLUME where head, neck or combination lie outside what adults have.

    Children, dysplasia and tumours may be outside with right contours; nothing is withheld.
    """
    checked = (
        ("head", volumes.head, HEAD),
        ("neck", volumes.neck, NECK),
        ("combination", volumes.combination, COMBINATION),
    )
    odd = [
        f"{name} {part.integral:.1f} cm3 (adults {usual.low_cm3:g}-{usual.high_cm3:g})"
        for name, part, usual in checked
        if part is not None and not usual.low_cm3 <= part.integral <= usual.high_cm3
    ]
    if not odd:
        return ()
    message = f"implausible volume: {', '.join(odd)}; check contours and region planes"
    return (
        QualityFlag(code=FlagCode.IMPLAUSIBLE_VOLUME, severity=Severity.WARNING, message=message),
    )
