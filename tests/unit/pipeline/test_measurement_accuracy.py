"""Thickness of a generated femur against its continuous surfaces, and over many scans.

The truth shares no code with the measurement: triangles of both surfaces on a 0.5 mm grid of the
closed form, and the nearest inner vertex of each outer one.
"""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from service.domain.findings import Plane
from service.domain.geometry import SpacingMm
from service.domain.imaging import FieldOfViewCuts
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.regions import divide
from service.sample.anatomy import draw_anatomy
from tests.benchmarks.measurement_repeatability import (
    STRAIGHT,
    ClosedFormFemur,
    coefficients_of_variation,
    exact_fields,
    exact_masks,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def test_mean_thickness_is_that_of_the_continuous_surfaces() -> None:
    femur = ClosedFormFemur(draw_anatomy(0).left)
    masks = exact_masks(femur, femur.grid(*STRAIGHT))
    regions = divide(masks, FieldOfViewCuts())
    measured = measure_femur(masks, masks.periosteal.astype(np.int16), regions)
    found = measured.numbers.cortical_thickness

    grid = femur.grid(*STRAIGHT[:2], SpacingMm(0.5, 0.5, 0.5))
    outer, inner = exact_fields(femur, grid)
    points, triangles, _, _ = marching_cubes(outer, 0.0)
    points = grid.index_to_lps(points)
    canal = grid.index_to_lps(marching_cubes(inner, 0.0)[0])
    thickness, _ = cKDTree(canal).query(points)
    corners = points[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    share = np.repeat(np.linalg.norm(across, axis=1) / 6, 3)
    areas = np.bincount(triangles.ravel(), share, len(points))

    def beyond(plane: Plane) -> np.ndarray:
        return (points - np.array(plane.point_lps_mm)) @ np.array(plane.normal_lps) >= 0

    proximal = beyond(regions.geometry.planes.distal)
    head = proximal & ~beyond(regions.geometry.planes.head_neck)
    for patch, chosen in ((found.total, proximal), (found.head, head)):
        true_mm = np.average(thickness[chosen], weights=areas[chosen])
        assert patch.mean_mm == pytest.approx(true_mm, abs=0.05)
        order = np.argsort(thickness[chosen])
        reached = np.cumsum(areas[chosen][order]) / areas[chosen].sum()
        true_p5_mm = np.interp(0.05, reached, thickness[chosen][order])
        assert patch.p5_mm == pytest.approx(true_p5_mm, abs=0.12)
        assert patch.surface_cm2 == pytest.approx(areas[chosen].sum() / 100, rel=0.01)


def test_thickness_scatters_less_over_20_scans_than_published_precision() -> None:
    scatter = coefficients_of_variation(ClosedFormFemur(draw_anatomy(0).left), 20, noise_mm=0.0)
    regions = ("head", "neck", "trochanter", "intertrochanter", "total")
    assert {name: scatter[f"{name} thickness"] for name in regions} == {
        name: pytest.approx(0.0, abs=2.5) for name in regions
    }
