"""The pipeline: these calls in order, with a progress callback that may cancel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from service import __version__
from service.domain.calibration import Calibration
from service.domain.findings import FemurGeometry, ModelUsed, Provenance
from service.domain.geometry import AxisOrder, Box, SpacingMm
from service.domain.imaging import (
    Analysis,
    CroppedVolume,
    CtVolume,
    FemurCrop,
    FemurResult,
    Member,
)
from service.domain.jobs import JobOptions, Stage
from service.domain.ports import ProgressListener
from service.errors import AnatomyError
from service.pipeline.cascade import (
    Networks,
    Surface,
    delivered_masks,
    find_surface,
    is_femur,
    masked_crop,
)
from service.pipeline.confidence import doubts, femur_confidence
from service.pipeline.crop import find_femurs
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.masks import cuts_of
from service.pipeline.measurements import measure
from service.pipeline.metal import exclude_metal, has_metal
from service.pipeline.plausibility import plausibility_flags
from service.pipeline.probabilities import plan_windows
from service.pipeline.regions import divide
from service.pipeline.report import FemurNumbers, analysis_report, femur_report
from service.pipeline.resampling import to_network_grid
from service.pipeline.series import read_series
from service.pipeline.thickness_summary import thickness_flags
from service.pipeline.volume import read_volume

VERSIONED = ("numpy", "scipy", "scikit-image", "pydicom")

RUNTIMES = (
    ("onnxruntime", "onnxruntime"),
    ("onnxruntime", "onnxruntime-gpu"),
    ("openvino", "openvino"),
)
"""What may run the networks: its name in the report, and the package that brings it."""


@dataclass(frozen=True, eq=False)
class AnalysisRequest:
    """What is to be analysed, and how.

    Attributes:
        members: files of the upload.
        input_sha256: of the upload, for provenance.
        stride_z: slices between windows as in the paper; None for the default, as few windows of
            up to 4 million voxels as cover a femur.
        series_instance_uid: which series, where the ranking's choice is not to be taken.
        expected_instances: SOP instances of the series, as the sender counts them.
        resample_gaps: fill gaps between slices by interpolation.
        calibration: from HU to density; without one there is HU only.
    """

    members: tuple[Member, ...]
    input_sha256: str
    stride_z: int | None = None
    series_instance_uid: str | None = None
    expected_instances: int | None = None
    resample_gaps: bool = False
    calibration: Calibration | None = None


class _Progress:
    """Counts windows over all femurs and both networks, and tells the listener."""

    def __init__(self, listener: ProgressListener, total: int) -> None:
        self._listener = listener
        self._total = total
        self._done = 0
        self.stage = Stage.PERIOSTEAL

    def enter(self, stage: Stage) -> None:
        self.stage = stage
        self._listener(stage, self._done, self._total)

    def after_window(self) -> None:
        self._done += 1
        self._listener(self.stage, self._done, self._total)

    def expect(self, windows: int, instead_of: int) -> None:
        """Correct the total once the periosteal mask shows how far the endosteal network goes."""
        self._total += windows - instead_of


def analyse(
    request: AnalysisRequest, load: Callable[[], Networks], listener: ProgressListener
) -> Analysis:
    """From the files of an upload to masks and numbers.

    Args:
        request: the upload's members and the options.
        load: gives the cascade; called once a femur is found, so that what cannot be used is
            refused without the networks.
        listener: told each stage and window; may raise JobCancelled.

    Returns:
        The report and what its artifacts are made of.

    Raises:
        InputError: if the upload holds no usable series, or the series no proximal femur
            (``no_proximal_femur``).
    """
    listener(Stage.READ, 0, 0)
    series = read_series(
        request.members,
        series_instance_uid=request.series_instance_uid,
        expected_instances=request.expected_instances,
        resample_gaps=request.resample_gaps,
    )
    source = read_volume(series)
    order = AxisOrder.closest_to_spl(source.geometry)
    turned = CtVolume(order.apply(source.hu), order.apply_geometry(source.geometry))
    listener(Stage.CROP, 0, 0)
    crops = find_femurs(turned)
    if not crops:
        raise AnatomyError(_no_femur_sentence(0))
    networks = load()
    spacing = SpacingMm(*networks.periosteal.contract.spacing_mm)
    on_grid = [to_network_grid(turned, crop, spacing) for crop in crops]
    windows = [
        len(plan_windows(c, n.contract, request.stride_z).boxes)
        for c in on_grid
        for n in (networks.periosteal, networks.endosteal)
    ]
    progress = _Progress(listener, sum(windows))
    cascade = _Cascade(networks, request.stride_z, progress)
    found = tuple(
        femur
        for crop, cropped in zip(crops, on_grid, strict=True)
        if (femur := _analyse_femur(turned, crop, cropped, cascade, request.calibration))
        is not None
    )
    if not any(_is_proximal(femur.report.geometry) for femur in found):
        raise AnatomyError(_no_femur_sentence(len(found)))
    provenance = _provenance(request, networks)
    report = analysis_report(series, tuple(f.report for f in found), provenance)
    return Analysis(report, source.geometry, order, found, series)


def _provenance(request: AnalysisRequest, networks: Networks) -> Provenance:
    return Provenance(
        femurct_version=__version__,
        input_sha256=request.input_sha256,
        models=tuple(
            ModelUsed(role=n.contract.role, sha256=n.sha256, provider=n.provider)
            for n in (networks.periosteal, networks.endosteal)
        ),
        stride_z=request.stride_z,
        options=JobOptions(
            stride_z=request.stride_z,
            series_instance_uid=request.series_instance_uid,
            expected_instances=request.expected_instances,
            resample_gaps=request.resample_gaps,
            calibration=request.calibration,
        ),
        versions={name: version(name) for name in VERSIONED} | _runtime_versions(),
    )


def _runtime_versions() -> dict[str, str]:
    """Of the builds that are installed here; which those are depends on the platform."""
    found = {}
    for name, package in RUNTIMES:
        with suppress(PackageNotFoundError):
            found[name] = version(package)
    return found


@dataclass(frozen=True, eq=False)
class _Cascade:
    """The networks and how they are run."""

    networks: Networks
    stride_z: int | None
    progress: _Progress

    def surface(self, stage: Stage, crop: CroppedVolume) -> Surface | None:
        """One surface of one femur on the networks' grid; None where the network saw nothing."""
        is_outer = stage is Stage.PERIOSTEAL
        network = self.networks.periosteal if is_outer else self.networks.endosteal
        self.progress.enter(stage)
        return find_surface(crop, network, self.stride_z, self.progress.after_window)

    def windows(self, crop: CroppedVolume) -> int:
        """Windows of the endosteal network over a crop."""
        contract = self.networks.endosteal.contract
        return len(plan_windows(crop, contract, self.stride_z).boxes)


def _analyse_femur(
    volume: CtVolume,
    crop: FemurCrop,
    cropped: CroppedVolume,
    cascade: _Cascade,
    calibration: Calibration | None,
) -> FemurResult | None:
    """One femur: surfaces, regions, numbers; None where the network saw none."""
    outer = cascade.surface(Stage.PERIOSTEAL, cropped)
    if outer is None or not is_femur(outer):
        cascade.progress.expect(0, instead_of=cascade.windows(cropped))
        return None
    inside = masked_crop(cropped, outer, cascade.networks.endosteal.contract.outside_hu)
    cascade.progress.expect(cascade.windows(inside), instead_of=cascade.windows(cropped))
    inner = cascade.surface(Stage.ENDOSTEAL, inside)
    cascade.progress.enter(Stage.REGIONS)
    grid = volume.geometry.crop(crop.box)
    masks = delivered_masks(outer, inner, crop.side, grid)
    cuts = cuts_of(masks.periosteal, _at_edge(crop.box, volume.geometry.shape_zyx))
    hu = volume.hu[crop.box.slices]
    regions = exclude_metal(divide(masks, cuts), masks, hu)
    volumes = measure(masks, regions)
    measured = measure_femur(masks, hu, regions, calibration)
    delivered = inner if masks.endosteal.any() else None
    confidence = femur_confidence(cascade.networks, outer, delivered, has_metal(regions))
    flags = (
        *doubts(confidence, outer, delivered),
        *plausibility_flags(volumes),
        *thickness_flags(measured.numbers.cortical_thickness, volumes),
    )
    numbers = FemurNumbers(volumes, measured.numbers, confidence)
    report = femur_report(masks, regions, numbers, cuts, flags)
    return FemurResult(crop, hu, masks, regions.labels, report, measured.thickness)


def _at_edge(box: Box, shape_zyx: tuple[int, int, int]) -> tuple[tuple[bool, bool], ...]:
    """For z, y, x: whether the box starts and ends at the volume's edge."""
    return tuple(
        (start == 0, stop == size)
        for start, stop, size in zip(box.start_zyx, box.stop_zyx, shape_zyx, strict=True)
    )


def _is_proximal(geometry: FemurGeometry) -> bool:
    """Whether any of head, neck and trochanters was found, measurable or not."""
    landmarks = (geometry.head_centre_lps_mm, geometry.lesser_trochanter_lps_mm)
    return any(landmark is not None for landmark in landmarks)


def _no_femur_sentence(femurs: int) -> str:
    if femurs:
        found = "a femoral shaft or fragment without head, neck or trochanters"
    else:
        found = "a readable CT without a femur that could be recognised"
    return (
        f"found {found}; needed: a hip CT showing the proximal femur, best from above the head to "
        "5 cm below the lesser trochanter; send such a series"
    )
