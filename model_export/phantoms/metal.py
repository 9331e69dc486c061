"""Streaks that metal throws across a CT slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.domain.geometry import VolumeGeometry
from service.sample.distance_fields import FloatArray, Vector

STREAK_ANGLES = 72
"""Support points of a streak pattern around the metal."""

STREAK_HU = (60.0, 260.0)
"""Range of a pattern's standard deviation next to the metal."""

FADING_MM = (25.0, 70.0)
"""Range of the distance in which streaks fade to a third."""

HALF_HEIGHT_MM = (3.0, 9.0)
"""Range of how far above and below its centre the metal reaches."""


def add_streaks(
    hu: FloatArray,
    geometry: VolumeGeometry,
    centres: Sequence[Vector],
    rng: np.random.Generator,
) -> None:
    """Adds to an image, in place, bright and dark rays from each metal centre in its slices.

    Args:
        hu: float32 ``[z, y, x]``.
        geometry: its axis-aligned grid.
        centres: LPS mm, within the image or beside it.
        rng: draws the patterns.
    """
    rows, columns = (np.arange(n) for n in geometry.shape_zyx[1:])
    for centre in centres:
        half = rng.uniform(*HALF_HEIGHT_MM)
        strength = rng.uniform(*STREAK_HU)
        fading = rng.uniform(*FADING_MM)
        z, y, x = geometry.lps_to_index(np.array([centre]))[0]
        spacing = geometry.spacing_mm
        down = (rows[:, None] - y) * spacing.y
        left = (columns[None, :] - x) * spacing.x
        distance = np.hypot(down, left)
        angle = np.arctan2(down, left)
        first = max(int(np.ceil(z - half / spacing.z)), 0)
        last = min(int(z + half / spacing.z), geometry.shape_zyx[0] - 1)
        for index in range(first, last + 1):
            pattern = rng.standard_normal(STREAK_ANGLES) ** 3
            pattern *= strength / max(float(pattern.std()), 1e-6)
            at = np.linspace(-np.pi, np.pi, STREAK_ANGLES, endpoint=False)
            rays = np.interp(angle, at, pattern, period=2 * np.pi)
            hu[index] += (rays * np.exp(-distance / fading)).astype(np.float32)
