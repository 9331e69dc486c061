import numpy as np
import pytest

from service.domain.calibration import Calibration
from service.domain.findings import FemurGeometry, FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegion, FemurRegions
from service.domain.measurements import RegionalDensity
from service.pipeline.densitometry import measure_density
from service.pipeline.left_femur import left_femur

LINE = Calibration.model_validate(
    {
        "slope": 0.5,
        "intercept": 10.0,
        "unit": "mg/cm3",
        "method": "internal",
        "slope_sd": 0.01,
        "intercept_sd": 3.0,
    }
)
PER_REGION = 1000


def bone(
    *, inner: bool = True, missing: FemurRegion | None = None, line: Calibration | None = None
) -> RegionalDensity:
    """A rod of 1 mm3 voxels, a thousand per region: 750 of 1000 +- 200 HU, 250 of 100 HU."""
    regions = [r for r in FemurRegion if r is not missing]
    hu = np.zeros((1, 1, PER_REGION * len(regions)), dtype=np.int16)
    labels, endosteal = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, np.bool_)
    for number, region in enumerate(regions):
        start = number * PER_REGION
        labels[..., start : start + PER_REGION] = region
        hu[..., start : start + 750 : 2], hu[..., start + 1 : start + 750 : 2] = 800, 1200
        hu[..., start + 750 : start + PER_REGION] = 100
        endosteal[..., start + 750 : start + PER_REGION] = inner
    grid = VolumeGeometry.axis_aligned(hu.shape, SpacingMm(1.0, 2.0, 0.5))
    masks = FemurMasks(FemurSide.LEFT, np.ones_like(endosteal), endosteal, grid)
    femur = left_femur(masks, hu, FemurRegions(labels, FemurGeometry(), ()))
    assert femur is not None
    return measure_density(femur, line)


def test_hu_are_averaged_per_compartment() -> None:
    neck = bone().neck
    assert neck is not None
    assert neck.cortical is not None
    assert neck.trabecular is not None
    assert (neck.cortical.mean_hu, neck.cortical.sd_hu) == pytest.approx((1000, 200))
    assert (neck.trabecular.mean_hu, neck.trabecular.sd_hu) == pytest.approx((100, 0))
    # 0.75 x 1000 + 0.25 x 100
    assert neck.integral.mean_hu == pytest.approx(775)


def test_without_calibration_there_are_hu_only() -> None:
    head = bone().head
    assert head is not None
    assert head.integral.vbmd_mg_cm3 is None
    assert head.integral.bmc_g is None


def test_density_and_content_follow_the_line() -> None:
    trochanter = bone(line=LINE).trochanter
    assert trochanter is not None
    cortical = trochanter.cortical
    assert cortical is not None
    assert cortical.vbmd_mg_cm3 == pytest.approx(510)
    # 0.75 cm3 of 510 mg/cm3
    assert cortical.bmc_g == pytest.approx(0.3825)
    # 1000 HU x 0.01 = 10, and 3
    assert cortical.vbmd_uncertainty_mg_cm3 == pytest.approx(np.sqrt(109))
    assert cortical.bmc_uncertainty_g == pytest.approx(0.75 * np.sqrt(109) / 1000)


def test_mineral_of_the_compartments_adds_up_and_so_do_the_regions() -> None:
    found = bone(line=LINE)
    for region in (found.head, found.combination, found.total):
        assert region is not None
        assert region.cortical is not None
        assert region.trabecular is not None
        parts = region.cortical.bmc_g + region.trabecular.bmc_g
        assert region.integral.bmc_g == pytest.approx(parts)
    assert found.total.integral.bmc_g == pytest.approx(4 * found.head.integral.bmc_g)


def test_without_an_endosteal_surface_the_integral_stands_alone() -> None:
    neck = bone(inner=False).neck
    assert neck is not None
    assert (neck.cortical, neck.trabecular) == (None, None)
    assert neck.integral.mean_hu == pytest.approx(775)


def test_a_missing_region_is_null_with_its_sums() -> None:
    found = bone(missing=FemurRegion.TROCHANTER)
    assert found.trochanter is None
    assert found.combination is None
    assert found.total is None
    assert found.head is not None
