"""Colours of surfaces, regions and thickness, the same in every file and on every page.

Regions and contours are of the palette of Okabe and Ito (2008, "Color Universal Design"), whose
colours stay apart under the common kinds of colour blindness; thickness is viridis (Smith and
van der Walt 2015), even to the eye and readable in grey.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.domain.geometry import FloatArray
from service.domain.imaging import FemurRegion

Colour = tuple[int, int, int]
"""Red, green, blue, 0-255, sRGB."""

PERIOSTEAL: Colour = (240, 228, 66)
ENDOSTEAL: Colour = (86, 200, 255)
"""Okabe and Ito's sky blue, lighter: a thin line on dark grey needs it."""

REGION_COLOURS: tuple[tuple[FemurRegion, Colour], ...] = (
    (FemurRegion.HEAD, (213, 94, 0)),
    (FemurRegion.NECK, (204, 121, 167)),
    (FemurRegion.TROCHANTER, (0, 158, 115)),
    (FemurRegion.INTERTROCHANTER, (0, 114, 178)),
)

UNMEASURED: Colour = (176, 176, 176)
"""Bone below the distal plane, in a region that is null, or without a thickness."""

THICKNESS_RANGE_MM = (0.0, 5.0)
"""The same for every femur, so that pages compare; thicker cortex has the last colour. Most of a
proximal femur lies below 3 mm, shaft and calcar reach 5 to 9 mm."""

_VIRIDIS = np.array(
    [
        (68, 1, 84),
        (71, 45, 123),
        (59, 82, 139),
        (44, 114, 142),
        (33, 145, 140),
        (40, 174, 128),
        (94, 201, 98),
        (173, 220, 48),
        (253, 231, 37),
    ],
    dtype=np.float64,
)
"""At even steps from 0 to 1; between them the map is straight to within 3 of 255."""


def thickness_colours(thickness_mm: npt.ArrayLike) -> FloatArray:
    """Colours ``[..., 3]``, 0-255, of thicknesses in mm; ``UNMEASURED`` where one is NaN."""
    values = np.asarray(thickness_mm, dtype=np.float64)
    places = np.linspace(*THICKNESS_RANGE_MM, len(_VIRIDIS))
    colours = np.stack([np.interp(values, places, channel) for channel in _VIRIDIS.T], axis=-1)
    colours[np.isnan(values)] = UNMEASURED
    return colours


def region_colours(labels: npt.NDArray[np.uint8]) -> FloatArray:
    """Colours ``[..., 3]``, 0-255, of values of FemurRegion; ``UNMEASURED`` for 0."""
    table = np.tile(np.array(UNMEASURED, dtype=np.float64), (1 + max(FemurRegion), 1))
    for region, colour in REGION_COLOURS:
        table[region] = colour
    colours: FloatArray = table[labels]
    return colours
