"""A section -> its areas, moments, moduli and buckling ratio.

Areas and moments are integrals over the section itself, so no shape is assumed (Martin & Burr, J
Biomech 1984, and Beck, Invest Radiol 1990, give the quantities for projections):

    A = sum w dA;  I_u = sum w (u - u0)^2 dA;  Z_u = I_u / c_u;  BR = c_u / t

with (u0, v0) the centroid of w, c_u the distance along u from it to the farther outer margin, and t
the cortical thickness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.measure import find_contours

from service.domain.calibration import Calibration
from service.domain.geometry import FloatArray
from service.domain.measurements import CrossSection, MineralSection
from service.pipeline.left_femur import LeftFemur
from service.pipeline.section_plane import STEP_MM, SectionImage

MINERALISED_MG_CM3 = 1050.0
"""Density of mineral in fully mineralised bone tissue that Beck (1990) divides by."""


@dataclass(frozen=True)
class Moments:
    """Area and second moments of a weighted section about its own centroid; mm, mm2, mm4.

    Attributes:
        area: sum of the weights times the pixel's area.
        u, v: the centroid.
        uu, vv, uv: second moments of u, of v, and mixed.
    """

    area: float
    u: float
    v: float
    uu: float
    vv: float
    uv: float

    @property
    def principal(self) -> tuple[float, float]:
        """Greatest and smallest second moment over all axes through the centroid."""
        middle, half = (self.uu + self.vv) / 2, (self.uu - self.vv) / 2
        radius = float(np.hypot(half, self.uv))
        return middle + radius, middle - radius


@dataclass(frozen=True, eq=False)
class Outline:
    """The margin of a section: points ``[n, 2]`` as (u, v) in mm, and its length."""

    points_mm: FloatArray
    perimeter_mm: float


def moments(weights: FloatArray, offsets_mm: FloatArray) -> Moments | None:
    """Moments of weights ``[n, n]`` at ``offsets_mm`` along both axes; None without weight."""
    total = float(weights.sum())
    if total <= 0:
        return None
    along_u, along_v = weights.sum(axis=1), weights.sum(axis=0)
    u, v = float(along_u @ offsets_mm) / total, float(along_v @ offsets_mm) / total
    du, dv = offsets_mm - u, offsets_mm - v
    pixel = STEP_MM**2
    return Moments(
        area=total * pixel,
        u=u,
        v=v,
        uu=float(along_u @ du**2) * pixel,
        vv=float(along_v @ dv**2) * pixel,
        uv=float(du @ weights @ dv) * pixel,
    )


def outline(share: FloatArray, offsets_mm: FloatArray) -> Outline | None:
    """The margin of a section, holes and parts included; None where there is none."""
    curves = find_contours(share, 0.5)
    if not curves:
        return None
    steps = np.concatenate([np.linalg.norm(np.diff(c, axis=0), axis=1) for c in curves])
    points = np.concatenate(curves) * STEP_MM + offsets_mm[0]
    return Outline(points, float(steps.sum()) * STEP_MM)


def cross_section(
    image: SectionImage, femur: LeftFemur, calibration: Calibration | None
) -> CrossSection | None:
    """Measure one section; None where it holds no bone.

    Args:
        image: of the section.
        femur: for the way back to the patient.
        calibration: gives the mineral-weighted properties.
    """
    whole = moments(image.outer, image.offsets_mm)
    margin = outline(image.outer, image.offsets_mm)
    if whole is None or margin is None:
        return None
    plane = image.plane
    centre = plane.point_mm + whole.u * plane.frontal + whole.v * plane.posterior
    width, depth = np.ptp(margin.points_mm, axis=0)
    empty = CrossSection(
        centre_lps_mm=femur.to_patient(centre),
        normal_lps=femur.to_patient(plane.normal),
        total_area_mm2=whole.area,
        width_mm=float(width),
        depth_mm=float(depth),
        mineral=_mineral(image, margin, calibration) if calibration is not None else None,
    )
    return _with_cortex(empty, image, margin)


def _with_cortex(section: CrossSection, image: SectionImage, margin: Outline) -> CrossSection:
    """The same section with its cortical properties; unchanged where it has no endosteal part."""
    if image.inner is None or not image.inner.any():
        return section
    cortex = moments(image.outer - image.inner, image.offsets_mm)
    if cortex is None:
        return section
    canal = outline(image.inner, image.offsets_mm)
    perimeters = margin.perimeter_mm + (canal.perimeter_mm if canal is not None else 0.0)
    # exact for two parallel curves, whose lengths differ by 2 pi t (Steiner)
    thickness = 2 * cortex.area / perimeters
    frontal_reach, sagittal_reach = _reach(margin, cortex)
    greatest, smallest = cortex.principal
    return section.model_copy(
        update={
            "cortical_area_mm2": cortex.area,
            "cortical_thickness_mm": thickness,
            "csmi_frontal_mm4": cortex.uu,
            "csmi_sagittal_mm4": cortex.vv,
            "csmi_max_mm4": greatest,
            "csmi_min_mm4": smallest,
            "section_modulus_frontal_mm3": cortex.uu / frontal_reach,
            "section_modulus_sagittal_mm3": cortex.vv / sagittal_reach,
            "buckling_ratio": frontal_reach / thickness,
        }
    )


def _mineral(
    image: SectionImage, margin: Outline, calibration: Calibration
) -> MineralSection | None:
    """Weighted by mineral; marrow fat, whose density comes out negative, counts as none."""
    density = np.maximum(calibration.slope * image.hu + calibration.intercept, 0.0)
    mineral = moments(image.outer * density / MINERALISED_MG_CM3, image.offsets_mm)
    if mineral is None:
        return None
    frontal_reach, _ = _reach(margin, mineral)
    return MineralSection(
        csa_mm2=mineral.area,
        csmi_frontal_mm4=mineral.uu,
        section_modulus_frontal_mm3=mineral.uu / frontal_reach,
    )


def _reach(margin: Outline, about: Moments) -> tuple[float, float]:
    """Distance from a centroid to the farther margin along u and along v."""
    away = np.abs(margin.points_mm - np.array([about.u, about.v])).max(axis=0)
    return float(away[0]), float(away[1])
