from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_export.cases import Kind, TrainingCase
from model_export.checkpoint import Checkpoint
from model_export.config import TrainingConfig, cpu

SHAPE = (48, 40, 44)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, which wait for each other when busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def finished() -> Callable[..., Checkpoint]:
    """A checkpoint of a run of seven steps that ended with this network."""

    def checkpoint(config: TrainingConfig, network: nn.Module, cases: str) -> Checkpoint:
        return Checkpoint(
            configuration=config.model_dump_json(),
            network=network.state_dict(),
            optimizer={},
            step=7,
            seconds=1.0,
            norm_frozen=True,
            finished=True,
            cases=cases,
        )

    return checkpoint


@pytest.fixture
def make_case() -> Callable[..., TrainingCase]:
    """A tube along z: bone 12 columns wide from column 20 on, marrow inside; the rest is water."""

    def make(name: str = "tube", kind: Kind = "proximal") -> TrainingCase:
        periosteal, endosteal = np.zeros((2, *SHAPE), dtype=np.uint8)
        periosteal[:, 14:26, 20:32] = 1
        endosteal[:, 17:23, 23:29] = 1
        hu = np.where(periosteal == 1, 1200, 0).astype(np.int16)
        hu[endosteal == 1] = -50
        surface = np.argwhere(periosteal)[::7].astype(np.int16)
        trust = np.full(SHAPE, 2, dtype=np.uint8)
        return TrainingCase(name, kind, hu, periosteal, endosteal, trust, surface)

    return make


@pytest.fixture
def cases(tmp_path: Path, make_case: Callable[..., TrainingCase]) -> Path:
    """A folder of cases: two to train on, one to validate with."""
    folder = tmp_path / "cases"
    make_case("real").save(folder / "train")
    make_case("phantom_1", "phantom").save(folder / "train")
    make_case("held_out").save(folder / "validation")
    return folder


@pytest.fixture
def tiny() -> TrainingConfig:
    """The cpu configuration on a network and patches that take milliseconds."""
    return cpu("periosteal").model_copy(
        update={
            "channels": (2, 2, 2, 2, 2),
            "patch_zyx": (16, 32, 32),
            "norm_patches": 2,
            "validate_every": 2,
            "validation_patches": 1,
            "checkpoint_every": 2,
        }
    )
