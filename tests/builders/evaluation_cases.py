"""A case for the evaluation whose masks two thresholds of HU find exactly."""

from __future__ import annotations

import numpy as np

from model_export.cases import TrainingCase
from service.domain.model_contract import ModelContract
from service.pipeline.cascade import Networks
from tests.builders.threshold_networks import ThresholdNetwork

SHAPE = (40, 40, 44)
OUTER = (slice(4, 36), slice(5, 35), slice(6, 36))
"""32 x 30 x 30 voxels of 0.64 mm3: 18.432 cm3."""
INNER = (slice(7, 33), slice(9, 31), slice(10, 32))
"""26 x 22 x 22 voxels: 8.05376 cm3."""


def block_case(name: str = "block", trust: int = 2) -> TrainingCase:
    """A hollow block: cortex 1200 HU, marrow -50 HU, water around it."""
    periosteal, endosteal = np.zeros((2, *SHAPE), dtype=np.uint8)
    periosteal[OUTER] = 1
    endosteal[INNER] = 1
    hu = np.where(periosteal == 1, 1200, 0).astype(np.int16)
    hu[endosteal == 1] = -50
    surface = np.argwhere(periosteal)[::7].astype(np.int16)
    trusted = np.full(SHAPE, trust, dtype=np.uint8)
    return TrainingCase(name, "phantom", hu, periosteal, endosteal, trusted, surface)


PERFECT = Networks(
    ThresholdNetwork(ModelContract(role="periosteal"), 300.0, 4000.0),
    ThresholdNetwork(ModelContract(role="endosteal"), -300.0, 300.0),
)
"""Of the cortex alone the block's periosteal mask follows by filling its hole."""
