"""Colours are those of the legend, and stay apart under the common kinds of colour blindness."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import rgb2lab

from service.artifacts.palette import (
    REGION_COLOURS,
    THICKNESS_RANGE_MM,
    UNMEASURED,
    region_colours,
    thickness_colours,
)
from service.domain.imaging import FemurRegion

DICHROMATS = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}
"""What is seen of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""


@pytest.mark.parametrize("kind", DICHROMATS)
def test_regions_stay_apart_for_who_sees_two_primaries(kind: str) -> None:
    linear = (np.array([colour for _, colour in REGION_COLOURS]) / 255.0) ** 2.2
    seen = np.clip(linear @ np.array(DICHROMATS[kind]).T, 0, 1) ** (1 / 2.2)
    lab = rgb2lab(seen)
    # 10: clearly different; a just noticeable difference is about 2.3
    assert min(np.linalg.norm(a - b) for a, b in combinations(lab, 2)) > 10


def test_every_region_has_its_colour_and_no_region_the_grey() -> None:
    colours = region_colours(np.array([0, FemurRegion.NECK], dtype=np.uint8))
    np.testing.assert_array_equal(colours, [UNMEASURED, dict(REGION_COLOURS)[FemurRegion.NECK]])


def test_thickness_ends_at_its_range_and_is_grey_where_unknown() -> None:
    low, high = THICKNESS_RANGE_MM
    colours = thickness_colours([low, high, high + 9.0, np.nan])
    np.testing.assert_array_equal(colours[1], colours[2])
    np.testing.assert_array_equal(colours[3], UNMEASURED)
    assert not np.array_equal(colours[0], colours[1])


def test_thicker_cortex_is_lighter() -> None:
    lightness = rgb2lab(thickness_colours(np.linspace(*THICKNESS_RANGE_MM, 20)) / 255.0)[:, 0]
    assert (np.diff(lightness) > 0).all()
