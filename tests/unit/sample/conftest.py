"""Things that take seconds and that several tests of the sample read."""

import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.sample.anatomy import HipAnatomy, draw_anatomy
from service.sample.scanner import Acquisition, RenderedCt, render
from service.sample.truth import SampleFemurTruth, measure_femur


@pytest.fixture(scope="session")
def anatomy() -> HipAnatomy:
    return draw_anatomy(0)


@pytest.fixture(scope="session")
def left_truth(anatomy: HipAnatomy) -> SampleFemurTruth:
    return measure_femur(anatomy.left)


@pytest.fixture(scope="session")
def quiet() -> Acquisition:
    """No noise, no blur: HU are those of the anatomy."""
    return Acquisition(
        pixel_spacing_mm=1.0,
        slice_spacing_mm=1.2,
        blur_sigma_mm=0.0,
        noise_hu=0.0,
        noise_grain_px=0.5,
        kvp=120.0,
        above_head_mm=40.0,
        below_lesser_mm=80.0,
        seed=0,
    )


@pytest.fixture(scope="session")
def left_crop(anatomy: HipAnatomy, quiet: Acquisition) -> RenderedCt:
    """The left femur down to about 70 mm below its lesser trochanter."""
    x, y, z = anatomy.left.head_centre_lps_mm
    grid = VolumeGeometry.axis_aligned(
        (148, 120, 130), SpacingMm(1.2, 1.0, 1.0), (x - 50, y - 60, z - 140)
    )
    return render(anatomy, grid, quiet, np.random.default_rng(0))
