"""Accuracy on generated hips that no network was trained on, in the form of the paper's Table 2.

``python -m tests.benchmarks.phantom_accuracy --seeds 10`` prints Markdown on standard output.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import nibabel as nib
import numpy as np
import numpy.typing as npt
import typer

from service.artifacts.source_grid import on_source_grid
from service.domain.findings import FemurSide, RegionalVolumes
from service.domain.imaging import Analysis, BoolArray, FemurResult
from service.errors import FemurctError
from service.pipeline.cascade import Networks
from service.sample.generate import generate_sample
from service.sample.truth import SampleTruth
from tests.benchmarks.agreement import Agreement, agreement
from tests.benchmarks.in_process import analyse_zip, networks

TABLE_2 = (
    ("Femur head", "head", "integral"),
    ("Femur neck", "neck", "integral"),
    ("Combination", "combination", "integral"),
    ("Cortical bone in femur neck", "neck", "cortical"),
    ("Cortical bone in combination", "combination", "cortical"),
)
"""Rows of the paper's Table 2: name, region, compartment."""

NAN = float("nan")


@dataclass(frozen=True)
class FemurScore:
    """One femur of one phantom against its truth.

    Attributes:
        seed, side: which.
        periosteal, endosteal: None where the femur was not found.
        found_cm3, true_cm3: in the order of TABLE_2, NaN where not measured.
        flags: codes.
    """

    seed: int
    side: FemurSide
    periosteal: Agreement | None
    endosteal: Agreement | None
    found_cm3: tuple[float, ...]
    true_cm3: tuple[float, ...]
    flags: tuple[str, ...]

    @property
    def relative_errors_percent(self) -> tuple[float, ...]:
        """Absolute relative error of each volume."""
        pairs = zip(self.found_cm3, self.true_cm3, strict=True)
        return tuple(100 * abs(found - true) / true for found, true in pairs)


def score_phantom(seed: int, loaded: Networks, folder: Path) -> list[FemurScore]:
    """Generate one phantom in a folder, run the pipeline on it and compare both femurs."""
    archive = folder / f"phantom_{seed}.zip"
    generate_sample(archive, seed)
    truth_folder = folder / f"phantom_{seed}_truth"
    truth = SampleTruth.model_validate_json((truth_folder / "truth.json").read_text())
    try:
        analysis: Analysis | None = analyse_zip(archive, loaded)
    except FemurctError as error:
        print(f"seed {seed}: {error.code}: {error}", file=sys.stderr)
        analysis = None
    results = {} if analysis is None else {femur.crop.side: femur for femur in analysis.femurs}
    scores = []
    for true_femur in truth.femurs:
        true_cm3 = table_2_volumes(true_femur.volumes_cm3)
        side = true_femur.side
        if analysis is None or side not in results:
            missing = (NAN,) * len(TABLE_2)
            scores.append(FemurScore(seed, side, None, None, missing, true_cm3, ("not found",)))
            continue
        scores.append(_score(seed, analysis, results[side], true_cm3, truth_folder))
    return scores


def _score(
    seed: int,
    analysis: Analysis,
    femur: FemurResult,
    true_cm3: tuple[float, ...],
    truth_folder: Path,
) -> FemurScore:
    side = femur.crop.side
    agreements = []
    for name, mask in (
        ("periosteal", femur.masks.periosteal),
        ("endosteal", femur.masks.endosteal),
    ):
        reference = read_mask(truth_folder / f"{side}_{name}.nii.gz") > 0
        found = whole_grid(analysis, femur, mask)
        everywhere = np.broadcast_to(np.True_, found.shape)
        agreements.append(
            agreement(found, reference, everywhere, analysis.source_geometry.spacing_mm)
        )
    return FemurScore(
        seed=seed,
        side=side,
        periosteal=agreements[0],
        endosteal=agreements[1],
        found_cm3=table_2_volumes(femur.report.volumes_cm3),
        true_cm3=true_cm3,
        flags=tuple(flag.code.value for flag in femur.report.flags),
    )


def whole_grid(analysis: Analysis, femur: FemurResult, mask: BoolArray) -> BoolArray:
    """A femur's mask on the CT's own grid."""
    full = on_source_grid(mask, femur.crop.box, analysis.axis_order, analysis.source_geometry)
    return full.view(np.bool_)


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """A NIfTI label map as ``[z, y, x]``."""
    return np.asarray(nib.load(path).dataobj, dtype=np.uint8).transpose(2, 1, 0)


def table_2_volumes(volumes: RegionalVolumes) -> tuple[float, ...]:
    """The five volumes of Table 2 in cm3, NaN where not measured."""
    found = []
    for _, region, compartment in TABLE_2:
        cm3: float | None = getattr(getattr(volumes, region), compartment, None)
        found.append(NAN if cm3 is None else cm3)
    return tuple(found)


def per_femur_table(scores: list[FemurScore]) -> str:
    """Markdown, one row per femur."""
    head = ["seed", "side", "periosteal Dice / MSD", "endosteal Dice / MSD"]
    head += [f"{name} RE %" for name, _, _ in TABLE_2] + ["flags"]
    rows = [
        [str(s.seed), s.side.value, str(s.periosteal or "-"), str(s.endosteal or "-")]
        + [f"{error:.1f}" for error in s.relative_errors_percent]
        + [", ".join(s.flags) or "-"]
        for s in scores
    ]
    return markdown(head, rows)


def table_2(scores: list[FemurScore]) -> str:
    """Markdown in the form of the paper's Table 2, over the femurs where a volume was measured."""
    rows = []
    for number, (name, _, _) in enumerate(TABLE_2):
        found = np.array([s.found_cm3[number] for s in scores])
        true = np.array([s.true_cm3[number] for s in scores])
        measured = np.isfinite(found)
        if not measured.any():
            rows.append([name, f"{true.mean():.2f}", "-", "-", "-", f"0 of {len(scores)}"])
            continue
        error = found[measured] - true[measured]
        relative = 100 * np.abs(error) / true[measured]
        rows.append(
            [
                name,
                f"{true.mean():.2f}±{true.std():.2f}",
                f"{np.abs(error).mean():.3f}",
                f"{np.sqrt((error**2).mean()):.3f}",
                f"({relative.mean():.2f}, {relative.min():.2f}, {relative.max():.2f})",
                f"{int(measured.sum())} of {len(scores)}",
            ]
        )
    head = ["Target", "Truth (cm3)", "MAE", "RMSE", "RE % (mean, min, max)", "measured"]
    return markdown(head, rows)


def surfaces_table(scores: list[FemurScore]) -> str:
    """Markdown: Dice and mean surface distance of both surfaces; a femur not found counts as 0."""
    rows = []
    for name in ("periosteal", "endosteal"):
        values: list[Agreement | None] = [getattr(score, name) for score in scores]
        dice = np.array([0.0 if value is None else value.dice for value in values])
        distance = np.array([v.mean_surface_distance_mm for v in values if v is not None])
        rows.append(
            [
                name,
                f"{dice.mean():.4f}",
                f"{dice.min():.4f}",
                f"{distance.mean():.3f}" if distance.size else "-",
                f"{distance.max():.3f}" if distance.size else "-",
                f"{distance.size} of {len(scores)}",
            ]
        )
    head = ["Surface", "Dice mean", "min", "MSD mm mean", "max", "found"]
    return markdown(head, rows)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many phantoms.")] = 10,
    first_seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Score the pipeline on phantoms; networks and provider as the environment says."""
    loaded = networks()
    scores: list[FemurScore] = []
    for seed in range(first_seed, first_seed + seeds):
        with tempfile.TemporaryDirectory() as folder:
            scores += score_phantom(seed, loaded, Path(folder))
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    print(f"\nSeeds {first_seed}-{first_seed + seeds - 1}, {loaded.periosteal.provider}\n")
    print("\n\n".join((per_femur_table(scores), surfaces_table(scores), table_2(scores))))


if __name__ == "__main__":
    typer.run(main)
