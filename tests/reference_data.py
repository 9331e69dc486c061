"""Where the reference data lie that some tests and benchmarks read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "data"

DATA = Path(os.environ.get("FEMURCT_DATA", BESIDE_THE_REPOSITORY))
"""Never copied into the repository."""

needs_reference_data = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no reference data at {DATA}; set FEMURCT_DATA"),
]
"""For ``pytestmark`` of a module."""
