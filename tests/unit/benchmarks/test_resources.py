"""Time and memory are booked on the stage that took them."""

from __future__ import annotations

import sys

import pytest

from service.domain.jobs import Stage
from tests.benchmarks.resources import StageMeter, peak_mib

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self")


def test_stages_are_booked_once_each_in_order_though_visited_twice() -> None:
    meter = StageMeter()
    for stage in (Stage.READ, Stage.PERIOSTEAL, Stage.ENDOSTEAL, Stage.PERIOSTEAL, Stage.WRITE):
        meter(stage, 0, 1)
    meter.book()
    assert [cost.stage for cost in meter.costs] == [
        "load networks",
        "read",
        "periosteal",
        "endosteal",
        "write",
    ]
    assert all(cost.seconds >= 0 and cost.peak_mib > 0 for cost in meter.costs)


def test_a_peak_belongs_to_the_stage_it_was_reached_in() -> None:
    meter = StageMeter()
    meter(Stage.READ, 0, 0)
    block = bytearray(64 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    meter(Stage.CROP, 0, 0)
    del block
    meter.book()
    read, crop = (next(c for c in meter.costs if c.stage == name) for name in ("read", "crop"))
    before = next(c for c in meter.costs if c.stage == "load networks")
    assert read.peak_mib - before.peak_mib > 50
    assert crop.peak_mib > 0
    assert peak_mib() > 0
