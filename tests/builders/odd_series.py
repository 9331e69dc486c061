"""A corpus of odd CT series: every rule of reading, in axial, oblique and flipped slices."""

from __future__ import annotations

from tests.builders.odd_accepted import ACCEPTED
from tests.builders.odd_case import ORIENTATIONS, OddSeries, Rule, spec_of
from tests.builders.odd_refused import REFUSED

CASES = tuple((rule, name) for rule in (*ACCEPTED, *REFUSED) for name in ORIENTATIONS)
"""Every rule with every orientation."""


def build_case(rule: Rule, orientation: str) -> OddSeries:
    """The files of one case and what is true about it."""
    return OddSeries(
        rule.name,
        orientation,
        rule.code,
        rule.build(spec_of(orientation)),
        rule.resample_gaps,
        rule.expected_instances,
        rule.tolerance_mm,
    )
