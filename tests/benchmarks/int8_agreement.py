"""How far masks and volumes on int8 lie from those in float32, under the same windows.

``python -m tests.benchmarks.int8_agreement [ZIP ...]`` prints Markdown; without series it makes
phantoms. The gate is that of ``window_schemes``. It needs a CPU with bfloat16.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.adapters.onnx_predictor import ProviderChoice
from service.bootstrap import load_networks
from service.pipeline.cascade import Networks
from service.sample.generate import generate_sample
from service.settings import Settings
from tests.benchmarks.in_process import analyse_zip
from tests.benchmarks.phantom_accuracy import markdown
from tests.benchmarks.window_schemes import HEAD, compare, comparison_row


def loaded(provider: ProviderChoice) -> Networks:
    """Both networks on one provider, whatever the environment says of it."""
    return load_networks(Settings(provider=provider))


def main(
    archives: Annotated[list[Path] | None, typer.Argument(help="Zips of CT series.")] = None,
    phantoms: Annotated[int, typer.Option(help="Phantoms, where no series is given.")] = 3,
) -> None:
    """Compare int8 with float32, both in OpenVINO."""
    exact, rounded = loaded("openvino"), loaded("openvino-int8")
    print(markdown(HEAD[:1] + HEAD[3:], []), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        chosen = list(archives or [])
        for seed in range(phantoms) if not chosen else ():
            chosen.append(Path(folder) / f"phantom_{seed}.zip")
            generate_sample(chosen[-1], seed)
        for archive in chosen:
            by_side = {femur.crop.side: femur for femur in analyse_zip(archive, exact).femurs}
            for femur in analyse_zip(archive, rounded).femurs:
                side = femur.crop.side
                row = [f"{archive.stem} {side}", *comparison_row(compare(femur, by_side[side]))]
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
