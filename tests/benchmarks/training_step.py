"""Time and memory of one training step: ``python -m tests.benchmarks.training_step [--steps N]``.

The paper's patch (192 x 192 x 64, batch 1) and V-Net, forward, backward and Adam, on one phantom
patch of noise; on a CUDA device in float32 and in mixed precision, else on the CPU. The loader is
left out: patches are made beside the step.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from dataclasses import dataclass

import torch

from model_export.config import ConfigurationName, TrainingConfig, named
from model_export.losses import training_loss
from model_export.networks import available_device, half_precision, network_of
from model_export.vnet import scale_hu

MIB = 1024**2


@dataclass(frozen=True)
class StepCost:
    """Median seconds of a step after the first; peak memory, of the GPU or of the process."""

    seconds: float
    peak_mib: float


def measure(config: TrainingConfig, steps: int) -> StepCost:
    """Trains on noise; the first step, which allocates and chooses kernels, is not timed."""
    device = available_device()
    half = half_precision(config, device)
    network = network_of(config)
    network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate)
    hu = (500 * torch.randn(1, 1, *config.patch_zyx)).to(device)
    target = (hu[0] > 300).long()
    weight = torch.ones(1, *config.patch_zyx, device=device)
    seconds = []
    for _ in range(steps + 1):
        started = time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            logits = network(scale_hu(hu))
        training_loss(logits.float(), target, weight, config.dice_weight).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - started)
    return StepCost(statistics.median(seconds[1:]), _peak_mib(device))


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2)
    steps = parser.parse_args().steps
    on_gpu = available_device().type == "cuda"
    name = torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} CPU threads"
    names: tuple[ConfigurationName, ...] = ("paper", "paper-mixed") if on_gpu else ("paper",)
    for configuration in names:
        cost = measure(named(configuration, "periosteal"), steps)
        print(
            f"{configuration} on {name}: {cost.seconds:.2f} s a step, "
            f"{1 / cost.seconds:.3f} steps per second, peak {cost.peak_mib:.0f} MiB, "
            f"load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
