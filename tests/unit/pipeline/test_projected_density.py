import numpy as np
import pytest

from service.domain.calibration import Calibration
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.domain.measurements import RegionalDensity
from service.pipeline.densitometry import measure_density
from service.pipeline.left_femur import LeftFemur
from service.pipeline.projected_density import project
from tests.builders.femur_shapes import grid_points, sphere
from tests.builders.hollow_bones import CORTEX_HU, of_solids, upright_geometry

LINE = Calibration.model_validate(
    {
        "slope": 0.5,
        "intercept": 0.0,
        "unit": "mg/cm3 K2HPO4",
        "method": "simultaneous",
        "slope_sd": 0.01,
        "intercept_sd": 0.0,
    }
)
RADIUS = 15.0


def ball(*, with_shaft: bool = True) -> LeftFemur:
    """A solid ball of neck, 500 mg/cm3; the view runs along y."""
    spacing = SpacingMm(1.0, 0.8, 0.8)
    grid = VolumeGeometry.axis_aligned((41, 51, 51), spacing, (-20.0, -20.0, -20.0))
    solid = sphere(grid_points(grid), (0, 0, 0), RADIUS)
    geometry = upright_geometry()
    if not with_shaft:
        geometry = geometry.model_copy(update={"shaft_axis_lps": None})
    return of_solids(solid, solid * 0 - 1, grid, FemurRegion.NECK, geometry)


def test_a_ball_casts_the_shadow_of_a_disc() -> None:
    femur = ball()
    found = project(femur, measure_density(femur, LINE))
    assert found is not None
    assert found.neck is not None
    assert found.status == "equivalent, not validated"
    assert found.neck.area_cm2 == pytest.approx(np.pi * RADIUS**2 / 100, rel=0.02)
    mass_g = 4 / 3 * np.pi * RADIUS**3 / 1000 * CORTEX_HU * LINE.slope / 1000
    assert found.neck.bmc_g == pytest.approx(mass_g, rel=0.01)
    # 4/3 R times the density: 2 cm x 0.5 g/cm3
    assert found.neck.abmd_g_cm2 == pytest.approx(1.0, rel=0.03)
    # slope known to 2 %
    assert found.neck.abmd_uncertainty_g_cm2 == pytest.approx(0.02, rel=0.03)


def test_regions_that_are_not_there_are_null() -> None:
    femur = ball()
    found = project(femur, measure_density(femur, LINE))
    assert found is not None
    assert (found.trochanter, found.intertrochanter, found.combination) == (None, None, None)


def test_without_mineral_or_view_there_is_nothing() -> None:
    femur = ball()
    assert project(femur, measure_density(femur, None)) is None
    assert project(femur, RegionalDensity()) is None
    blind = ball(with_shaft=False)
    assert project(blind, measure_density(blind, LINE)) is None
