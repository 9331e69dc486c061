"""One window of the periosteal network in each runtime: same weights, same run, ratios.

``python -m tests.benchmarks.window_runtimes`` prints Markdown; it needs PyTorch. Runtimes take
turns, so that whatever else the machine does slows all alike, and the fastest of each counts. All
but int8 compute the same, which is checked; for int8 see ``int8_agreement``. The machine's peak is
the faster of NumPy's and PyTorch's product of two square float32 matrices.
``OMP_NUM_THREADS=1 FEMURCT_THREADS=1`` compares them on one thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import typer

from service.adapters.cpu_limit import cpu_limit
from service.adapters.onnx_predictor import (
    OPENVINO_INT8,
    ProviderChoice,
    RuntimeOptions,
    load_predictor,
)
from service.settings import Settings
from tests.benchmarks.phantom_accuracy import markdown
from tests.benchmarks.torch_network import TorchNetwork

MATRIX = 3072
"""Rows and columns of the matrices multiplied: 113 MB in all, beyond any cache."""

SAME = 1e-4
"""Largest difference of a probability between float32 runtimes; the exporter's tolerance."""

Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class Seconds(NamedTuple):
    """Wall time, and the processor time of all threads, which a busy machine disturbs less."""

    wall: float
    cpu: float


def seconds_of(work: Callable[[], object]) -> Seconds:
    """What one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def peak_gflops(rounds: int) -> float:
    """The machine's measured sgemm rate: the best round of NumPy and PyTorch, in 1e9 a second."""
    a, b = np.random.default_rng(0).random((2, MATRIX, MATRIX), dtype=np.float32)
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    best = min(
        seconds_of(product).wall
        for _ in range(rounds)
        for product in (lambda: np.matmul(a, b), lambda: torch.matmul(ta, tb))
    )
    return 2 * MATRIX**3 / best / 1e9


def runtimes(settings: Settings) -> dict[str, Predict]:
    """Each runtime by name; the last is what the service takes on this machine."""
    threads = settings.threads or cpu_limit()
    torch.set_num_threads(threads)
    path = settings.weights_dir / "periosteal.onnx"
    choices: tuple[ProviderChoice, ...] = ("cpu", "openvino", settings.provider)
    loaded = [load_predictor(path, "periosteal", RuntimeOptions(c, threads)) for c in choices]
    return {
        "PyTorch": TorchNetwork(path, channels_last=False).predict,
        "PyTorch, channels last": TorchNetwork(path, channels_last=True).predict,
        **{network.provider: network.predict for network in loaded},
    }


def best_seconds(
    candidates: dict[str, Predict], window: npt.NDArray[np.float32], rounds: int
) -> dict[str, Seconds]:
    """The least of each over all rounds; one window before each, which plans, is not timed.

    Raises:
        ValueError: two float32 runtimes differ by more than SAME.
    """
    reference = None
    for name, predict in candidates.items():
        found = predict(window)
        reference = found if reference is None else reference
        if name != OPENVINO_INT8 and float(np.abs(found - reference).max()) > SAME:
            raise ValueError(f"{name} computes something else; check that its weights are the same")
    seconds: dict[str, list[Seconds]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, predict in candidates.items():
            predict(window)
            seconds[name].append(seconds_of(lambda run=predict: run(window)))  # type: ignore[misc]
    return {name: Seconds(*map(min, zip(*taken, strict=True))) for name, taken in seconds.items()}


def table(seconds: dict[str, Seconds], gflop: float, peak: float) -> str:
    """Markdown, ratios to the last row, which is ours."""
    ours = list(seconds.values())[-1].wall
    rows = [
        [
            name,
            f"{s.wall:.2f}",
            f"{s.wall / ours:.2f} x",
            f"{s.cpu:.2f}",
            f"{gflop / s.wall:.0f}",
            f"{100 * gflop / s.wall / peak:.0f} %",
        ]
        for name, s in seconds.items()
    ]
    head = ["runtime", "s a window", "of ours", "CPU s", "GFLOP/s", "of the sgemm peak"]
    return markdown(head, rows)


def main(
    side: Annotated[int, typer.Option(help="Of the window in y and x; 64 slices.")] = 192,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Time one window in each runtime; weights, provider and threads as the environment says."""
    settings = Settings()
    window = np.random.default_rng(0).normal(100, 300, (64, side, side)).astype(np.float32)
    candidates = runtimes(settings)
    peak = peak_gflops(rounds)
    seconds = best_seconds(candidates, window, rounds)
    gflop = TorchNetwork(settings.weights_dir / "periosteal.onnx", channels_last=False).gflop(
        window.size
    )
    print(
        f"64 x {side} x {side}, {gflop:.0f} GFLOP, {settings.threads or cpu_limit()} threads, "
        f"sgemm peak {peak:.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}\n"
    )
    print(table(seconds, gflop, peak))


if __name__ == "__main__":
    typer.run(main)
