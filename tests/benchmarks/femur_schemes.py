"""Both networks over one femur: ours, MONAI's sliding window, the paper's scheme.

``python -m tests.benchmarks.femur_schemes [ZIP]`` prints Markdown; without a CT series it takes a
phantom. It needs PyTorch and MONAI. All run the shipped weights on the same crop: ours through the
service's runtime, MONAI's through PyTorch. Rows marked * were not run but are the number of windows
times the time of a window in the same run. Dice is with a phantom's truth.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import typer
from monai.inferers.utils import sliding_window_inference

from service.adapters.cpu_limit import cpu_limit
from service.adapters.upload_archive import ArchiveLimits, read_members
from service.domain.findings import FemurSide
from service.domain.geometry import AxisOrder, SpacingMm, VolumeGeometry
from service.domain.imaging import BoolArray, CroppedVolume, CtVolume, ProbabilityMap
from service.domain.ports import PatchPredictor
from service.errors import AnatomyError
from service.pipeline.cascade import Surface, delivered_masks, masked_crop
from service.pipeline.crop import find_femurs
from service.pipeline.masks import find_threshold, inside_only, solid
from service.pipeline.probabilities import plan_windows, probability_map
from service.pipeline.resampling import to_network_grid
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from service.sample.generate import generate_sample
from service.settings import Settings
from tests.benchmarks.in_process import networks
from tests.benchmarks.phantom_accuracy import markdown, read_mask
from tests.benchmarks.torch_network import TorchNetwork
from tests.benchmarks.window_schemes import dice

SLICES = (64, 128, 192, 256, 320)
"""Depths of crop of the table of cost against slices."""

HALF_WINDOW = 32
"""The stride whose windows price those of stride 1."""


@dataclass(frozen=True, eq=False)
class BenchmarkFemur:
    """One femur, and its truth where it has one.

    Attributes:
        crop: on the networks' grid.
        side: of the femur.
        grid: of the crop box in the CT.
        truth: periosteal and endosteal mask on ``grid``; None of a real series.
    """

    crop: CroppedVolume
    side: FemurSide
    grid: VolumeGeometry
    truth: tuple[BoolArray, BoolArray] | None


class Cost(NamedTuple):
    """What a scheme took over both networks, and how well it did.

    Attributes:
        windows: run; by both networks.
        seconds: wall time.
        cpu_seconds: processor time of all threads, which a busy machine disturbs less.
        dice: periosteal and endosteal, with the truth; None without one, or where it was not run.
    """

    windows: int
    seconds: float
    cpu_seconds: float
    dice: tuple[float, float] | None = None

    def times(self, factor: float) -> Cost:
        """The cost of more windows of the same kind; nothing was found with them."""
        windows = round(self.windows * factor)
        return Cost(windows, self.seconds * factor, self.cpu_seconds * factor)


class Counted:
    """A network that counts its windows; for MONAI, too, which calls it with tensors."""

    def __init__(self, network: PatchPredictor, in_torch: TorchNetwork) -> None:
        self.contract = network.contract
        self.provider = network.provider
        self.sha256 = network.sha256
        self.windows = 0
        self._network = network
        self._in_torch = in_torch

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """In the service's runtime."""
        self.windows += 1
        return self._network.predict(hu)

    def __call__(self, hu: torch.Tensor) -> torch.Tensor:
        """In PyTorch."""
        self.windows += 1
        return self._in_torch(hu)


ProbabilitiesOf = Callable[[CroppedVolume, Counted], ProbabilityMap]


class Cascade(NamedTuple):
    """Both networks, counted."""

    periosteal: Counted
    endosteal: Counted

    @property
    def windows(self) -> int:
        """Run so far."""
        return self.periosteal.windows + self.endosteal.windows


def phantom_femur(seed: int, folder: Path) -> BenchmarkFemur:
    """The left femur of a generated series."""
    archive = folder / "phantom.zip"
    generate_sample(archive, seed)
    return first_femur(archive, folder / "phantom_truth")


def first_femur(archive: Path, truth: Path | None = None) -> BenchmarkFemur:
    """The left femur of a CT series, or the right one where there is no other."""
    source = read_volume(read_series(read_members(archive, ArchiveLimits())))
    order = AxisOrder.closest_to_spl(source.geometry)
    volume = CtVolume(order.apply(source.hu), order.apply_geometry(source.geometry))
    crop = find_femurs(volume)[0]
    on_grid = to_network_grid(volume, crop, SpacingMm(1.0, 0.8, 0.8))
    grid = volume.geometry.crop(crop.box)
    if truth is None:
        return BenchmarkFemur(on_grid, crop.side, grid, None)
    periosteal, endosteal = (
        order.apply(read_mask(truth / f"{crop.side}_{name}.nii.gz"))[crop.box.slices] > 0
        for name in ("periosteal", "endosteal")
    )
    return BenchmarkFemur(on_grid, crop.side, grid, (periosteal, endosteal))


def load_cascade(settings: Settings) -> Cascade:
    """Both networks in the service's runtime and in PyTorch, with as many threads."""
    torch.set_num_threads(settings.threads or cpu_limit())
    loaded = networks()
    return Cascade(
        *(
            Counted(n, TorchNetwork(settings.weights_dir / f"{role}.onnx", channels_last=True))
            for role, n in (("periosteal", loaded.periosteal), ("endosteal", loaded.endosteal))
        )
    )


def ours(stride_z: int | None) -> ProbabilitiesOf:
    """The service's sliding window."""
    return lambda crop, network: probability_map(crop, network, stride_z, lambda: None)


def monai(overlap_z: float) -> ProbabilitiesOf:
    """MONAI's, at its defaults but for the overlap along z (0.25 by default) and the padding."""

    def probabilities(crop: CroppedVolume, network: Counted) -> ProbabilityMap:
        values = sliding_window_inference(
            torch.from_numpy(crop.hu.copy())[None, None],
            network.contract.window_zyx,
            1,
            network,
            overlap=(overlap_z, 0.25, 0.25),
            cval=network.contract.outside_hu,
        )
        return ProbabilityMap(np.asarray(values)[0, 0], crop.geometry)

    return probabilities


def run(femur: BenchmarkFemur, loaded: Cascade, scheme: ProbabilitiesOf, *, in_box: bool) -> Cost:
    """The cascade under one scheme.

    Args:
        femur: what is segmented.
        loaded: both networks.
        scheme: crop and network to probabilities.
        in_box: run the endosteal network on the box around the periosteal mask only.

    Raises:
        AnatomyError: a network found nothing.
    """
    before = loaded.windows
    started, cpu_started = time.perf_counter(), time.process_time()
    outer = _surface(scheme(femur.crop, loaded.periosteal))
    outside_hu = loaded.endosteal.contract.outside_hu
    inside = (
        masked_crop(femur.crop, outer, outside_hu)
        if in_box
        else inside_only(femur.crop, outer.mask, outside_hu)
    )
    inner = _surface(scheme(inside, loaded.endosteal))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    masks = delivered_masks(outer, inner, femur.side, femur.grid)
    if femur.truth is None:
        return Cost(loaded.windows - before, seconds, cpu)
    found = (masks.periosteal, masks.endosteal)
    scores = tuple(dice(f, t) for f, t in zip(found, femur.truth, strict=True))
    return Cost(loaded.windows - before, seconds, cpu, (scores[0], scores[1]))


def _surface(probabilities: ProbabilityMap) -> Surface:
    threshold = find_threshold(probabilities)
    if threshold is None:
        raise AnatomyError("the network saw nothing in the phantom; check its weights")
    return Surface(probabilities, threshold, solid(probabilities.values > threshold.value))


def stride_1(femur: BenchmarkFemur, loaded: Cascade, half_window: Cost) -> Cost:
    """What ours would take at stride 1, by the voxels of its windows."""
    one, half = (
        sum(
            math.prod(box.shape_zyx)
            for box in plan_windows(femur.crop, loaded.periosteal.contract, stride).boxes
        )
        for stride in (1, HALF_WINDOW)
    )
    return half_window.times(one / half)


def cost_table(costs: dict[str, Cost]) -> str:
    """Markdown, ratios to the first row."""
    _, own, own_cpu, _ = next(iter(costs.values()))
    rows = [
        [
            name,
            str(c.windows),
            f"{c.seconds:.1f}",
            f"{c.seconds / own:.1f} x",
            f"{c.cpu_seconds:.1f}",
            f"{c.cpu_seconds / own_cpu:.1f} x",
            *([f"{d:.4f}" for d in c.dice] if c.dice else ["-", "-"]),
        ]
        for name, c in costs.items()
    ]
    head = ["scheme", "windows", "s", "of ours", "CPU s", "of ours"]
    head += ["periosteal Dice", "endosteal Dice"]
    return markdown(head, rows)


def slices_table(femur: BenchmarkFemur, network: PatchPredictor) -> str:
    """Markdown: the periosteal network over crops of the same section and different depths."""
    rows = []
    for slices in SLICES:
        hu = np.resize(femur.crop.hu, (slices, *femur.crop.hu.shape[1:]))
        shape = (slices, *femur.crop.geometry.shape_zyx[1:])
        crop = CroppedVolume(femur.side, hu, VolumeGeometry(shape, femur.grid.affine_lps))
        started = time.perf_counter()
        probability_map(crop, network, None, lambda: None)
        seconds = time.perf_counter() - started
        count = len(plan_windows(crop, network.contract, None).boxes)
        rows.append([str(slices), str(count), f"{seconds:.1f}", f"{1000 * seconds / slices:.0f}"])
    return markdown(["slices", "windows", "s", "ms a slice"], rows)


def main(
    archive: Annotated[Path | None, typer.Argument(help="Zip of a CT series.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the phantom.")] = 0,
    peers: Annotated[bool, typer.Option(help="Run MONAI and PyTorch, too.")] = True,
) -> None:
    """Compare schemes on one femur; weights, provider and threads as the environment says."""
    loaded = load_cascade(Settings())
    with tempfile.TemporaryDirectory() as folder:
        femur = first_femur(archive) if archive else phantom_femur(seed, Path(folder))
    costs = {"ours": run(femur, loaded, ours(None), in_box=True)}
    half_window = run(femur, loaded, ours(HALF_WINDOW), in_box=True)
    costs[f"ours, stride {HALF_WINDOW}"] = half_window
    costs["ours, stride 1 *"] = stride_1(femur, loaded, half_window)
    if peers:
        costs["MONAI, overlap 0.25"] = run(femur, loaded, monai(0.25), in_box=False)
        in_torch = run(femur, loaded, monai(1 - HALF_WINDOW / 64), in_box=False)
        costs[f"MONAI, stride {HALF_WINDOW}"] = in_torch
        windows = 2 * max(1, femur.crop.hu.shape[0] - 63)
        costs["paper's stride 1 in PyTorch *"] = in_torch.times(windows / in_torch.windows)
    shape = " x ".join(map(str, femur.crop.hu.shape))
    print(f"crop {shape}, {loaded.periosteal.provider}, load {os.getloadavg()[0]:.1f}\n")
    print(cost_table(costs), flush=True)
    print()
    print(slices_table(femur, loaded.periosteal))


if __name__ == "__main__":
    typer.run(main)
