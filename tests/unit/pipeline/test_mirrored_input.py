"""A right femur that is a left one's mirror image, through regions and all measurements."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from service.domain.calibration import Calibration
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FieldOfViewCuts, HuArray
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.measurements import measure
from service.pipeline.regions import divide
from tests.builders.femur_shapes import femur, femur_grid, grid_points, masks_of, mirrored

LINE = Calibration.model_validate(
    {"slope": 0.9, "intercept": -3.0, "unit": "mg/cm3 HA", "method": "simultaneous"}
)


def oblique_femur(width: int) -> tuple[FemurMasks, HuArray]:
    """A left femur turned in the scan, on a grid of so many columns, with grainy HU."""
    grid = femur_grid(SpacingMm(2.2, 1.9, 1.9), bottom_mm=-145.0)
    shape = (grid.shape_zyx[0], grid.shape_zyx[1], width)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (4.0, -3.0, 7.0), degrees=True).as_matrix()
    turned = VolumeGeometry(shape, turn @ grid.affine_lps)
    # the solids stand still, so the grid is turned about them
    masks = masks_of(femur(grid_points(turned)), turned)
    noise = np.random.default_rng(0).normal(0, 50, masks.periosteal.shape)
    bone = np.where(masks.endosteal, 100, np.where(masks.periosteal, 1000, 0))
    return masks, np.rint(bone + noise).astype(np.int16)


def reported(masks: FemurMasks, hu: HuArray) -> tuple[np.ndarray, dict[str, object]]:
    """Labels, and all numbers as the report has them."""
    regions = divide(masks, FieldOfViewCuts())
    parts = {
        "volumes": measure(masks, regions),
        "geometry": regions.geometry,
        "measurements": measure_femur(masks, hu, regions, LINE).numbers,
    }
    return regions.labels, {name: part.model_dump() for name, part in parts.items()}


def numbers(value: object, key: str = "", *, mirror: bool = False) -> dict[str, object]:
    """All leaves by their path; with ``mirror``, positions and directions with x negated."""
    if isinstance(value, dict):
        found: dict[str, object] = {}
        for name, part in value.items():
            found |= numbers(part, f"{key}/{name}", mirror=mirror)
        return found
    if isinstance(value, tuple) and key.endswith(("_lps", "_lps_mm")):
        x, y, z = value
        return {f"{key}/x": -x if mirror else x, f"{key}/y": y, f"{key}/z": z}
    if isinstance(value, tuple):
        return numbers(dict(enumerate(value)), key, mirror=mirror)
    return {key: value}


@pytest.mark.parametrize("width", [68, 69], ids=["even", "odd"])
def test_mirrored_input_gives_mirrored_output_to_the_voxel(width: int) -> None:
    masks, hu = oblique_femur(width)
    labels, found = reported(masks, hu)
    mirrored_labels, mirrored_found = reported(mirrored(masks), hu[:, :, ::-1].copy())
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(mirrored_labels[:, :, ::-1], labels)
    assert mirrored_found["volumes"] == found["volumes"]
    theirs, mine = numbers(mirrored_found, mirror=True), numbers(found)
    measured = {key: value for key, value in mine.items() if isinstance(value, float)}
    assert len(measured) > 150
    for key, value in mine.items():
        expected = pytest.approx(value, rel=1e-6, abs=1e-6) if key in measured else value
        assert theirs[key] == expected, key
