"""``femurct demo`` with the networks of the repository: the README's first command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WEIGHTS = Path(__file__).parents[2] / "service" / "weights"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not any(WEIGHTS.glob("*.onnx")), reason="no network files in the checkout"),
]


def test_the_demo_leaves_results_and_prints_them_beside_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "demo-output"

    demo = subprocess.run(
        [sys.executable, "-m", "service.cli", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert demo.returncode == 0, demo.stderr
    assert "Measured volume / true volume" in demo.stdout
    assert str(out / "left_report.png") in demo.stdout
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert [femur["side"] for femur in report["femurs"]] == ["left", "right"]
