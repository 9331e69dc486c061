"""How far masks and volumes on int8 lie from those in float32, under the same windows.

``python -m tests.benchmarks.int8_agreement [ZIP ...]`` prints Markdown; without series it makes
phantoms. The gate is that of ``window_schemes``; the last column is how far the Dice coefficients
that the report expects are apart. It needs a CPU with bfloat16.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.adapters.onnx_predictor import ProviderChoice
from service.bootstrap import load_networks
from service.domain.imaging import FemurResult
from service.pipeline.cascade import Networks
from service.sample.generate import generate_sample
from service.settings import Settings
from tests.benchmarks.in_process import analyse_zip
from tests.benchmarks.phantom_accuracy import NAN, markdown
from tests.benchmarks.window_schemes import HEAD, compare, comparison_row


def loaded(provider: ProviderChoice) -> Networks:
    """Both networks on one provider, whatever the environment says of it."""
    return load_networks(Settings(provider=provider))


def expected_apart(found: FemurResult, reference: FemurResult) -> float:
    """The larger difference of an expected Dice coefficient; NaN where none is expected."""
    pairs = zip(expected_dice(found), expected_dice(reference), strict=True)
    apart = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return max(apart, default=NAN)


def expected_dice(femur: FemurResult) -> tuple[float | None, float | None]:
    """Of the periosteal and of the endosteal surface."""
    confidence = femur.report.confidence
    if confidence is None or confidence.endosteal is None:
        return None, None
    return confidence.periosteal.expected_dice, confidence.endosteal.expected_dice


def main(
    archives: Annotated[list[Path] | None, typer.Argument(help="Zips of CT series.")] = None,
    phantoms: Annotated[int, typer.Option(help="Phantoms, where no series is given.")] = 3,
) -> None:
    """Compare int8 with float32, both in OpenVINO."""
    exact, rounded = loaded("openvino"), loaded("openvino-int8")
    print(markdown([HEAD[0], *HEAD[3:], "expected Dice"], []), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        chosen = list(archives or [])
        for seed in range(phantoms) if not chosen else ():
            chosen.append(Path(folder) / f"phantom_{seed}.zip")
            generate_sample(chosen[-1], seed)
        for archive in chosen:
            pairs = zip(
                analyse_zip(archive, rounded).femurs,
                analyse_zip(archive, exact).femurs,
                strict=True,
            )
            for femur, reference in pairs:
                row = [f"{archive.stem} {femur.crop.side}"]
                row += comparison_row(compare(femur, reference))
                row.append(f"{expected_apart(femur, reference):.4f}")
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
