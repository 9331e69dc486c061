import numpy as np
import pytest

from service.domain.calibration import Calibration
from service.domain.geometry import SpacingMm
from service.domain.measurements import CrossSection
from service.pipeline.section_plane import SectionPlane, section_image
from service.pipeline.section_properties import cross_section, moments
from service.pipeline.sections import perpendicular_axes
from tests.builders.hollow_bones import CORTEX_HU, hollow_cylinder

OUTER, INNER = 14.0, 10.5
OBLIQUE = np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])
FINE = SpacingMm(0.8, 0.7, 0.7)
LINE = Calibration.model_validate(
    {"slope": 1.05, "intercept": 0.0, "unit": "mg/cm3 HA", "method": "simultaneous"}
)
"""1000 HU are 1050 mg/cm3: fully mineralised bone."""


def section(
    inner_mm: float = INNER,
    canal_mm: tuple[float, float, float] = (0, 0, 0),
    calibration: Calibration | None = None,
) -> CrossSection:
    """A tube cut at right angles to its oblique axis."""
    femur = hollow_cylinder(OUTER, inner_mm, OBLIQUE, FINE, canal_mm)
    u, v = perpendicular_axes(OBLIQUE)
    image = section_image(femur, SectionPlane(np.zeros(3), u, v))
    assert image is not None
    found = cross_section(image, femur, calibration)
    assert found is not None
    return found


def test_a_hollow_cylinder_has_the_textbook_areas_and_moments() -> None:
    found = section()
    csmi = np.pi / 4 * (OUTER**4 - INNER**4)
    assert found.total_area_mm2 == pytest.approx(np.pi * OUTER**2, rel=0.01)
    assert found.cortical_area_mm2 == pytest.approx(np.pi * (OUTER**2 - INNER**2), rel=0.015)
    assert (found.width_mm, found.depth_mm) == pytest.approx((2 * OUTER, 2 * OUTER), abs=0.4)
    for moment in ("csmi_frontal_mm4", "csmi_sagittal_mm4", "csmi_max_mm4", "csmi_min_mm4"):
        assert getattr(found, moment) == pytest.approx(csmi, rel=0.02)
    for modulus in ("section_modulus_frontal_mm3", "section_modulus_sagittal_mm3"):
        assert getattr(found, modulus) == pytest.approx(csmi / OUTER, rel=0.03)


def test_thickness_and_buckling_ratio_of_a_hollow_cylinder() -> None:
    found = section()
    assert found.cortical_thickness_mm == pytest.approx(OUTER - INNER, rel=0.02)
    assert found.buckling_ratio == pytest.approx(OUTER / (OUTER - INNER), rel=0.03)


def test_an_eccentric_canal_moves_the_centroid_by_the_parallel_axis_theorem() -> None:
    u, _ = perpendicular_axes(OBLIQUE)
    shift = 2.0
    found = section(canal_mm=tuple(shift * u))
    whole, canal = np.pi * OUTER**2, np.pi * INNER**2
    area = whole - canal
    centroid = -canal * shift / area
    across = np.pi / 4 * (OUTER**4 - INNER**4)
    along = across - canal * shift**2 - area * centroid**2
    assert found.csmi_frontal_mm4 == pytest.approx(along, rel=0.03)
    assert found.csmi_sagittal_mm4 == pytest.approx(across, rel=0.02)
    assert found.section_modulus_frontal_mm3 == pytest.approx(
        along / (OUTER + abs(centroid)), rel=0.04
    )


def test_mineral_of_full_density_weighs_as_the_cortex_alone() -> None:
    found = section(calibration=LINE)
    assert found.mineral is not None
    # the edges of the cortex are blurred by half a voxel of interpolation on both sides
    assert found.mineral.csa_mm2 == pytest.approx(np.pi * (OUTER**2 - INNER**2), rel=0.04)
    assert found.mineral.csmi_frontal_mm4 == pytest.approx(
        np.pi / 4 * (OUTER**4 - INNER**4), rel=0.04
    )
    assert CORTEX_HU * LINE.slope == 1050.0


def test_without_calibration_there_is_no_mineral() -> None:
    assert section().mineral is None


def test_a_solid_bone_has_a_total_area_only() -> None:
    found = section(inner_mm=-1.0)
    assert found.total_area_mm2 > 600
    assert found.cortical_area_mm2 is None
    assert found.buckling_ratio is None


def test_a_section_that_misses_the_canal_has_no_cortical_figures() -> None:
    found = section(canal_mm=(60.0, 0.0, 0.0))
    assert found.cortical_area_mm2 is None


def test_moments_of_a_single_pixel_and_of_nothing() -> None:
    offsets = np.array([-0.5, 0.0, 0.5])
    weights = np.zeros((3, 3))
    assert moments(weights, offsets) is None
    weights[2, 0] = 1.0
    one = moments(weights, offsets)
    assert one is not None
    assert (one.area, one.u, one.v, one.uu, one.uv) == pytest.approx((0.25, 0.5, -0.5, 0, 0))


def test_principal_moments_do_not_turn_with_the_section() -> None:
    offsets = np.arange(-40, 41) * 0.5
    u, v = np.meshgrid(offsets, offsets, indexing="ij")
    for turn in np.deg2rad([0.0, 20.0, 65.0]):
        along, across = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
        away = np.hypot(along / 15, across / 9)
        # pixels on the rim by their share; the rim is 9 to 15 mm away
        ellipse = moments(np.clip((1 - away) * 12 / 0.5 + 0.5, 0, 1), offsets)
        assert ellipse is not None
        greatest, smallest = ellipse.principal
        assert greatest == pytest.approx(np.pi / 4 * 15**3 * 9, rel=0.01)
        assert smallest == pytest.approx(np.pi / 4 * 15 * 9**3, rel=0.01)
