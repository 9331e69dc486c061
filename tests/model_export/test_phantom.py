from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("musculoskeletal", reason="the shape model's package is not installed")

from model_export.cases import load_case
from model_export.phantom import (
    EVALUATION_SEEDS,
    TRAINING_SEED,
    PhantomSeedError,
    anatomical_case,
    write_anatomical_phantoms,
)
from model_export.phantoms.anatomy import PhantomAnatomy, draw_phantom
from model_export.phantoms.protocol import Protocol, draw_protocol
from model_export.phantoms.scan import FemurScan, scan_femur
from service.sample.distance_fields import Points

SEED = TRAINING_SEED + 3
THICK_MM = 3.5


@pytest.fixture(scope="module")
def anatomy() -> PhantomAnatomy:
    return draw_phantom(SEED)


def _plain(protocol: Protocol) -> Protocol:
    """Without noise and sharpening, coarse, down to the shaft."""
    return replace(
        protocol,
        pixel_mm=0.9,
        slice_mm=2.0,
        thickness_mm=2.0,
        sigma_mm=0.7,
        sharpening=0.0,
        noise_hu=1e-3,
        streak_noise_hu=0.0,
        below_lesser_mm=90.0,
        margins_mm=(15.0, 15.0, 15.0, 15.0),
    )


@pytest.fixture(scope="module")
def scan(anatomy: PhantomAnatomy) -> FemurScan:
    return scan_femur(anatomy, anatomy.sides[0], _plain(draw_protocol(SEED, 0)))


def test_the_half_maximum_edge_of_a_thick_shaft_lies_on_the_periosteal_surface(scan: FemurScan):
    surface = scan.side.framed.surface
    shaft = (surface.points[:, 2] < -45) & (surface.points[:, 2] > -75)
    thick = scan.femur.thickness.at(Points.of(surface.points)) > THICK_MM
    points, normals = surface.points[shaft & thick], surface.normals[shaft & thick]
    assert len(points) > 100
    offsets = np.arange(-2.5, 3.01, 0.05)
    along = points[:, None] + offsets[:, None] * normals[:, None]
    index = scan.geometry.lps_to_index(scan.side.placed.to_lps(along).reshape(-1, 3))
    low = np.floor(index).astype(int)
    share = index - low
    hu = np.zeros(len(index))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=1)
        hu += weight * scan.hu[tuple((low + corner).T)]
    profiles = hu.reshape(len(points), -1)
    half = (profiles[:, offsets > 2.0].mean(axis=1) + profiles[:, offsets < -1.6].mean(axis=1)) / 2
    errors = []
    true = scan.femur.surface.at(Points.of(along))
    for profile, level, distance in zip(profiles, half, true, strict=True):
        edge = np.flatnonzero(profile > level)[-1]
        errors.append(abs(distance[edge]))
    assert np.median(errors) < 0.1


def test_masks_are_nested_and_read_from_the_rendered_fields(scan: FemurScan):
    outer, inner = scan.masks(scan.geometry)
    assert not (inner & ~outer).any()
    hard = outer & ~inner
    assert np.median(scan.hu[hard]) > 500 > 200 > np.median(scan.hu[~outer])


def test_cases_are_left_femurs_repeatable_and_kept_when_written(tmp_path: Path):
    seed = EVALUATION_SEEDS.start
    paths = list(write_anatomical_phantoms(range(seed, seed + 1), tmp_path))
    assert [p.stem for p in paths] == ["anatomical_4000_left", "anatomical_4000_right"]
    for case in map(load_case, paths):
        low, high = np.percentile(case.surface[:, 0], (20, 80))
        top = case.surface[case.surface[:, 0] > high]
        bottom = case.surface[case.surface[:, 0] < low]
        # the head (top) lies medially of the shaft (bottom), on the low side of x
        assert np.percentile(top[:, 2], 10) < bottom[:, 2].mean()
    again, kept = anatomical_case(seed, 0), load_case(paths[0])
    for name in ("hu", "periosteal", "endosteal"):
        assert np.array_equal(getattr(again, name), getattr(kept, name))
    assert list(write_anatomical_phantoms(range(seed, seed + 1), tmp_path)) == []


@pytest.mark.parametrize(
    "seeds", [range(2), range(3999, 4001), range(4099, 4101), range(4999, 5001)]
)
def test_seeds_outside_one_part_are_refused(seeds: range, tmp_path: Path):
    with pytest.raises(PhantomSeedError, match="held out"):
        list(write_anatomical_phantoms(seeds, tmp_path))


def test_training_and_evaluation_seeds_do_not_meet():
    assert EVALUATION_SEEDS.stop <= TRAINING_SEED
