"""The whole pipeline on a drawn femur, with networks that only threshold HU."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from service.domain.calibration import Calibration
from service.domain.findings import FemurSide, FlagCode
from service.domain.imaging import Analysis, Member
from service.domain.jobs import JobOptions, Stage
from service.domain.model_contract import DiceFit, ModelContract
from service.domain.ports import ProgressListener
from service.errors import AnatomyError, JobCancelled
from service.pipeline.cascade import Networks
from service.pipeline.run import AnalysisRequest, _provenance, analyse
from tests.builders.ct_series import CtSeriesSpec, build_slices, to_members
from tests.builders.hip_series import FEMUR_X_MM, SPACING, hip_members
from tests.builders.threshold_networks import ThresholdNetwork

LINE = Calibration.model_validate(
    {"slope": 0.8, "intercept": -5.0, "unit": "mg/cm3 HA", "method": "internal"}
)
FIT = DiceFit(intercept=0.0, slope=1.0, cases=10, correlation=1.0)
NETWORKS = Networks(
    periosteal=ThresholdNetwork(ModelContract(role="periosteal", dice_fit=FIT), 150.0, 4000.0),
    endosteal=ThresholdNetwork(ModelContract(role="endosteal"), -100.0, 700.0),
)


def run(
    members: tuple[Member, ...],
    networks: Networks = NETWORKS,
    listener: ProgressListener = lambda stage, done, total: None,
) -> Analysis:
    request = AnalysisRequest(members, "f" * 64, calibration=LINE)
    return analyse(request, lambda: networks, listener)


@pytest.fixture(scope="module")
def left_hip() -> tuple[Analysis, list[tuple[Stage, int, int]]]:
    """The left hip analysed, and what its listener heard."""
    heard: list[tuple[Stage, int, int]] = []
    return run(hip_members(), listener=lambda *told: heard.append(told)), heard


LeftHip = tuple[Analysis, list[tuple[Stage, int, int]]]


def test_a_hip_is_found_divided_and_measured(left_hip: LeftHip) -> None:
    (left,) = left_hip[0].report.femurs
    assert left.side is FemurSide.LEFT
    assert left.complete
    head = left.geometry.head_centre_lps_mm
    assert head is not None
    np.testing.assert_allclose(head, (FEMUR_X_MM, 0.0, 0.0), atol=1.0)
    total = left.volumes_cm3.total
    assert total is not None
    assert total.integral == pytest.approx(total.cortical + total.trabecular)


def test_density_follows_the_calibration_that_provenance_names(left_hip: LeftHip) -> None:
    report = left_hip[0].report
    assert report.provenance.options.calibration == LINE
    density = report.femurs[0].measurements.density.total
    assert density is not None
    assert density.trabecular is not None
    # inside there are 400 HU, and some cortex where the threshold network errs
    assert density.trabecular.mean_hu == pytest.approx(400, abs=30)
    expected = LINE.density_mg_cm3(density.trabecular.mean_hu)
    assert density.trabecular.vbmd_mg_cm3 == pytest.approx(expected)
    assert report.femurs[0].measurements.projected_density is not None


def test_without_metal_a_dice_is_expected_of_a_fitted_network(left_hip: LeftHip) -> None:
    confidence = left_hip[0].report.femurs[0].confidence
    assert confidence is not None
    # the threshold network is never in doubt
    assert confidence.periosteal.expected_dice == pytest.approx(1.0, abs=2e-4)


def test_the_cortex_of_two_voxels_is_flagged(left_hip: LeftHip) -> None:
    (left,) = left_hip[0].report.femurs
    assert FlagCode.PARTIAL_VOLUME in [flag.code for flag in left.flags]


def test_what_holds_metal_is_null_and_says_so() -> None:
    (left,) = run(hip_members(metal=True)).report.femurs
    assert left.volumes_cm3.head is None
    assert left.volumes_cm3.neck is not None
    assert not left.complete
    assert FlagCode.METAL in {flag.code for flag in left.flags}
    assert left.confidence is not None
    assert left.confidence.periosteal.expected_dice is None


def test_a_mirrored_hip_gives_the_mirrored_masks(left_hip: LeftHip) -> None:
    left, right = left_hip[0], run(hip_members(mirrored=True))
    assert right.report.femurs[0].side is FemurSide.RIGHT
    for name in ("periosteal", "endosteal"):
        ours = getattr(left.femurs[0].masks, name)
        theirs = getattr(right.femurs[0].masks, name)
        np.testing.assert_array_equal(ours, theirs[:, :, ::-1])


def test_progress_only_grows_and_ends_at_its_total(left_hip: LeftHip) -> None:
    _, heard = left_hip
    stages = list(dict.fromkeys(stage for stage, _, _ in heard))
    assert stages == [Stage.READ, Stage.CROP, Stage.PERIOSTEAL, Stage.ENDOSTEAL, Stage.REGIONS]
    done = [d for _, d, _ in heard]
    assert done == sorted(done)
    assert heard[-1][1] == heard[-1][2] > 0


def test_a_listener_can_cancel_between_windows() -> None:
    def cancel(stage: Stage, done: int, total: int) -> None:
        if done == 1:
            raise JobCancelled("cancelled by the sender")

    with pytest.raises(JobCancelled):
        run(hip_members(), listener=cancel)


def test_networks_that_see_nothing_leave_no_femur() -> None:
    blind = Networks(
        periosteal=replace(NETWORKS.periosteal, above_hu=5000.0), endosteal=NETWORKS.endosteal
    )
    with pytest.raises(AnatomyError, match="without a femur") as caught:
        run(hip_members(), blind)
    assert caught.value.code == "no_proximal_femur"


def test_a_series_without_a_shaft_is_refused_without_the_networks() -> None:
    water = CtSeriesSpec(stored=np.zeros((20, 30, 30), np.int16), spacing_zyx_mm=tuple(SPACING))

    def load() -> Networks:
        raise AssertionError("nothing to run them on")

    request = AnalysisRequest(tuple(to_members(build_slices(water))), "f" * 64)
    with pytest.raises(AnatomyError, match="without a femur"):
        analyse(request, load, lambda stage, done, total: None)


def test_a_shaft_alone_is_no_proximal_femur() -> None:
    with pytest.raises(AnatomyError, match="without head, neck or trochanters"):
        run(hip_members(head=False))


def test_without_an_endosteal_surface_compartments_are_unknown_not_zero() -> None:
    blind = Networks(
        periosteal=NETWORKS.periosteal, endosteal=replace(NETWORKS.endosteal, above_hu=5000.0)
    )
    (left,) = run(hip_members(), blind).report.femurs
    head = left.volumes_cm3.head
    assert head is not None
    assert head.integral > 0
    assert head.cortical is None
    assert head.trabecular is None
    assert FlagCode.ENDOSTEAL_NOT_FOUND in [flag.code for flag in left.flags]


def test_provenance_holds_every_option_and_the_runtime_of_the_networks() -> None:
    request = AnalysisRequest(
        (),
        "f" * 64,
        stride_z=8,
        series_instance_uid="1.2.3",
        expected_instances=5,
        resample_gaps=True,
    )

    provenance = _provenance(request, NETWORKS)

    assert provenance.stride_z == 8
    assert provenance.options == JobOptions(
        stride_z=8, series_instance_uid="1.2.3", expected_instances=5, resample_gaps=True
    )
    assert provenance.versions["onnxruntime"] == onnxruntime.__version__
