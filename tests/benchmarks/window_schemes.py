"""How far masks and volumes of faster window schemes lie from the paper's stride of 1.

``python -m tests.benchmarks.window_schemes [ZIP ...]`` prints Markdown; without series it makes
phantoms. Every scheme runs the whole pipeline with the same networks; a window that an earlier
scheme has run is remembered, so the schemes after stride 1 cost little. The gate: Dice at least
0.999, volumes within 0.3 % (those under 5 cm3: 1 %) with the planes of stride 1 held.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import typer
from scipy import ndimage

from service.domain.findings import RegionalVolumes
from service.domain.imaging import Analysis, BoolArray, FemurMasks, FemurRegions, FemurResult
from service.domain.model_contract import ModelContract
from service.domain.ports import PatchPredictor
from service.pipeline.cascade import Networks
from service.pipeline.measurements import measure
from service.sample.generate import generate_sample
from tests.benchmarks.in_process import analyse_zip, networks
from tests.benchmarks.phantom_accuracy import NAN, markdown

MIN_DICE = 0.999
MAX_VOLUME_PERCENT = 0.3
MAX_SMALL_VOLUME_PERCENT = 1.0
SMALL_CM3 = 5.0
"""The gate: volumes under SMALL_CM3 may differ by MAX_SMALL_VOLUME_PERCENT."""

WINDOW_VOXELS = 64 * 192 * 192
"""Of the paper's window, the unit of cost."""


STRIDES = (8, 16, 24, 32, 48, None)
"""What is compared with the reference, stride 1; None is the service's default."""


@dataclass
class RememberingPredictor:
    """A network that runs no window twice.

    Attributes:
        network: the real one.
        remembered: what each window gave, by the digest of its HU; shared between schemes.
        voxels: of the windows asked for, remembered or not.
    """

    network: PatchPredictor
    remembered: dict[bytes, npt.NDArray[np.float32]]
    voxels: int = field(default=0)

    @property
    def contract(self) -> ModelContract:
        """Of the network."""
        return self.network.contract

    @property
    def provider(self) -> str:
        """Of the network."""
        return self.network.provider

    @property
    def sha256(self) -> str:
        """Of the network."""
        return self.network.sha256

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """As the network."""
        self.voxels += hu.size
        key = blake2b(hu.tobytes() + repr(hu.shape).encode(), digest_size=16).digest()
        if key not in self.remembered:
            self.remembered[key] = self.network.predict(hu)
        return self.remembered[key]


class Comparison(NamedTuple):
    """One femur of one scheme against the reference; NaN for volumes that were not measured.

    Attributes:
        dice: of the periosteal and of the endosteal mask.
        held_percent: the largest difference of a volume, planes held.
        held_small_percent: the same among volumes under SMALL_CM3.
        found_percent: the largest difference of any volume, planes found anew.
    """

    dice: tuple[float, float]
    held_percent: float
    held_small_percent: float
    found_percent: float

    @property
    def passes(self) -> bool:
        """The gate; volumes that were not measured do not count."""
        return (
            min(self.dice) >= MIN_DICE
            and not self.held_percent > MAX_VOLUME_PERCENT
            and not self.held_small_percent > MAX_SMALL_VOLUME_PERCENT
        )


def run_scheme(
    archive: Path,
    loaded: Networks,
    stride_z: int | None,
    remembered: dict[bytes, npt.NDArray[np.float32]],
) -> tuple[Analysis, float]:
    """The whole pipeline under one scheme.

    Returns:
        The analysis, and what both networks were asked for in windows of the paper's size.
    """
    both = (loaded.periosteal, loaded.endosteal)
    predictors = [RememberingPredictor(network, remembered) for network in both]
    analysis = analyse_zip(archive, Networks(*predictors), stride_z=stride_z)
    return analysis, sum(p.voxels for p in predictors) / WINDOW_VOXELS


def compare(found: FemurResult, reference: FemurResult) -> Comparison:
    """One femur against the same femur of the reference; both in the same crop box."""
    own, other = found.masks, reference.masks
    held = measure(own, FemurRegions(held_labels(own, reference), reference.report.geometry, ()))
    differences = volume_differences(held, reference.report.volumes_cm3)
    anew = volume_differences(found.report.volumes_cm3, reference.report.volumes_cm3)
    return Comparison(
        dice=(dice(own.periosteal, other.periosteal), dice(own.endosteal, other.endosteal)),
        held_percent=max((p for cm3, p in differences if cm3 >= SMALL_CM3), default=NAN),
        held_small_percent=max((p for cm3, p in differences if cm3 < SMALL_CM3), default=NAN),
        found_percent=max((p for _, p in anew), default=NAN),
    )


def held_labels(masks: FemurMasks, reference: FemurResult) -> npt.NDArray[np.uint8]:
    """Regions of a mask by the reference's planes: each voxel as the reference's nearest one."""
    nearest = ndimage.distance_transform_edt(
        ~reference.masks.periosteal, return_distances=False, return_indices=True
    )
    labels = reference.labels[tuple(nearest)]
    return np.where(masks.periosteal, labels, 0).astype(np.uint8)


def volume_differences(
    found: RegionalVolumes, reference: RegionalVolumes
) -> list[tuple[float, float]]:
    """Reference cm3 and the difference in percent of it, for each volume that the reference has.

    A volume that was not measured, or is measured only here, differs by 100 %.
    """
    pairs = []
    for region in RegionalVolumes.model_fields:
        ours, theirs = getattr(found, region), getattr(reference, region)
        for compartment in ("integral", "cortical", "trabecular"):
            a = getattr(ours, compartment, None)
            b = getattr(theirs, compartment, None)
            if a is None and b is None:
                continue
            percent = 100.0 if a is None or not b else 100 * abs(a - b) / b
            pairs.append((b or 0.0, percent))
    return pairs


def dice(found: BoolArray, reference: BoolArray) -> float:
    """Dice coefficient (paper, equation 2); 1 where both are empty."""
    total = int(found.sum()) + int(reference.sum())
    return 2 * int((found & reference).sum()) / total if total else 1.0


def rows(archive: Path, loaded: Networks, reference_stride: int) -> Iterator[list[str]]:
    """A table's rows for one series: the reference, then each larger stride, per femur."""
    remembered: dict[bytes, npt.NDArray[np.float32]] = {}
    reference, windows = run_scheme(archive, loaded, reference_stride, remembered)
    by_side = {femur.crop.side: femur for femur in reference.femurs}
    yield [archive.stem, f"stride {reference_stride}", f"{windows:.1f}", *["-"] * 6]
    for stride in STRIDES:
        if stride is not None and stride <= reference_stride:
            continue
        analysis, windows = run_scheme(archive, loaded, stride, remembered)
        for femur in analysis.femurs:
            c = compare(femur, by_side[femur.crop.side])
            yield [
                f"{archive.stem} {femur.crop.side}",
                f"stride {stride}" if stride else "default",
                f"{windows:.1f}",
                *comparison_row(c),
            ]


def comparison_row(c: Comparison) -> list[str]:
    """The last columns of HEAD, from Dice on."""
    return [
        f"{c.dice[0]:.5f}",
        f"{c.dice[1]:.5f}",
        f"{c.held_percent:.3f}",
        f"{c.held_small_percent:.3f}",
        f"{c.found_percent:.2f}",
        "yes" if c.passes else "no",
    ]


HEAD = [
    "series",
    "windows",
    "cost (192 x 192 x 64)",
    "periosteal Dice",
    "endosteal Dice",
    "volumes %",
    "under 5 cm3 %",
    "planes anew %",
    "gate",
]


def main(
    archives: Annotated[list[Path] | None, typer.Argument(help="Zips of CT series.")] = None,
    phantoms: Annotated[int, typer.Option(help="Phantoms, where no series is given.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0)] = 0,
    reference_stride: Annotated[int, typer.Option(min=1, help="Stands in for stride 1.")] = 1,
) -> None:
    """Compare window schemes with stride 1; networks and provider as the environment says."""
    loaded = networks()
    print(markdown(HEAD, []), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        chosen = list(archives or [])
        for seed in range(first_seed, first_seed + phantoms) if not chosen else ():
            chosen.append(Path(folder) / f"phantom_{seed}.zip")
            generate_sample(chosen[-1], seed)
        for archive in chosen:
            for row in rows(archive, loaded, reference_stride):
                print("| " + " | ".join(row) + " |", flush=True)
    print(f"{loaded.periosteal.provider} done", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
