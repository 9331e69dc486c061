"""How well a mask agrees with a reference (paper, section 2.4), and three measures more.

Masks are bool ``[z, y, x]`` of one shape. ``counted`` says which voxels count; without it all do.
What lies past the array is background, as in MONAI and DeepMind's surface-distance: a mask that
meets the array's end has a surface there.

Where both masks are empty they agree: overlaps are 1, distances 0. Where one is, overlaps are 0 and
distances infinite. A share of nothing (sensitivity without reference, specificity without
background, anything without a counted voxel) is NaN.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import marching_cubes, mesh_surface_area

from service.domain.geometry import FloatArray, SpacingMm
from service.domain.imaging import BoolArray

HAUSDORFF_PERCENTILE = 95.0

PAPER_CROP_VOXELS = 192
"""Width and height of the crop over which the paper counts true negatives (section 2.2)."""

ROUNDING_MM = 1e-6
"""A distance that equals a tolerance but for rounding lies within it."""

NAN = float("nan")


def dice(found: BoolArray, reference: BoolArray, counted: BoolArray | None = None) -> float:
    """Dice similarity coefficient, 2 TP / (FP + 2 TP + FN) (equation 2)."""
    if not found.any() and not reference.any():
        return 1.0
    found, reference = _counted(found, counted), _counted(reference, counted)
    return _share(2 * int((found & reference).sum()), int(found.sum()) + int(reference.sum()))


def sensitivity(found: BoolArray, reference: BoolArray, counted: BoolArray | None = None) -> float:
    """Share of the reference that was found, TP / (TP + FN) (equation 3)."""
    reference = _counted(reference, counted)
    return _share(int((found & reference).sum()), int(reference.sum()))


def specificity(found: BoolArray, reference: BoolArray, counted: BoolArray | None = None) -> float:
    """Share of the background that was left alone, TN / (TN + FP) (equation 4).

    It grows with the background looked at; the paper's is over ``paper_crop``.
    """
    background = _counted(~reference, counted)
    return _share(int((background & ~found).sum()), int(background.sum()))


def paper_crop(reference: BoolArray) -> tuple[slice, slice, slice]:
    """The paper's crop of 192 x 192 x S voxels about the femur's box, where the array holds it.

    Args:
        reference: at least one voxel, else the crop is about voxel 0.
    """
    spans = [slice(None)]
    for axis in (1, 2):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(reference.any(axis=others))
        middle = (int(hit[0]) + int(hit[-1]) + 1) // 2 if hit.size else 0
        start = middle - PAPER_CROP_VOXELS // 2
        spans.append(slice(max(0, start), max(0, start + PAPER_CROP_VOXELS)))
    return spans[0], spans[1], spans[2]


def average_surface_distance_mm(
    found: BoolArray,
    reference: BoolArray,
    spacing_mm: SpacingMm,
    counted: BoolArray | None = None,
) -> float:
    """Mean over both surfaces' voxels of the distance to the other surface (equation 5)."""
    both = np.concatenate(surface_distances_mm(found, reference, spacing_mm, counted))
    return float(both.mean()) if both.size else _of_no_surface(found, reference)


def hausdorff95_mm(
    found: BoolArray,
    reference: BoolArray,
    spacing_mm: SpacingMm,
    counted: BoolArray | None = None,
) -> float:
    """The larger of the two 95th percentiles of surface distances (linearly interpolated)."""
    directed = surface_distances_mm(found, reference, spacing_mm, counted)
    if any(np.isinf(d).any() for d in directed):
        return float("inf")
    percentiles = [float(np.percentile(d, HAUSDORFF_PERCENTILE)) for d in directed if d.size]
    return max(percentiles) if percentiles else _of_no_surface(found, reference)


def surface_distances_mm(
    found: BoolArray,
    reference: BoolArray,
    spacing_mm: SpacingMm,
    counted: BoolArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Distance of each counted surface voxel to the other's whole surface, in mm.

    A surface voxel is one of the mask with a face to the background.

    Returns:
        From the found and from the reference surface, in array order; infinite where the other
        surface does not exist.
    """
    outlines = [outline(mask) for mask in (found, reference)]
    points = [np.argwhere(outline) * np.array(spacing_mm) for outline in outlines]
    kept = [p if counted is None else p[counted[o]] for p, o in zip(points, outlines, strict=True)]
    return _nearest_mm(kept[0], points[1]), _nearest_mm(kept[1], points[0])


def surface_dice(
    found: BoolArray,
    reference: BoolArray,
    spacing_mm: SpacingMm,
    tolerance_mm: float,
    counted: BoolArray | None = None,
) -> float:
    """Share of both surfaces' area that lies within a tolerance of the other surface.

    As DeepMind's ``surface-distance`` (Nikolov et al., arXiv:1809.04430): a surface element sits at
    the corner of eight voxels and has the area that marching cubes give it. It counts where all
    eight do.
    """
    if not found.any() and not reference.any():
        return 1.0
    codes = [_corner_codes(mask) for mask in (found, reference)]
    elements = [(code > 0) & (code < 255) for code in codes]
    points = [np.argwhere(element) * np.array(spacing_mm) for element in elements]
    areas = [_corner_areas_mm2(spacing_mm)[c[e]] for c, e in zip(codes, elements, strict=True)]
    if counted is not None:
        sure = _corner_codes(counted, outside=True) == 255
        areas = [a * sure[e] for a, e in zip(areas, elements, strict=True)]
    near = [
        _nearest_mm(own, other) <= tolerance_mm + ROUNDING_MM
        for own, other in (points, points[::-1])
    ]
    within = sum(float(a[n].sum()) for a, n in zip(areas, near, strict=True))
    total = sum(float(a.sum()) for a in areas)
    return within / total if total else NAN


def _counted(mask: BoolArray, counted: BoolArray | None) -> BoolArray:
    return mask if counted is None else mask & counted


def _share(part: int, whole: int) -> float:
    return part / whole if whole else NAN


def _of_no_surface(found: BoolArray, reference: BoolArray) -> float:
    """The distance where no surface voxel counted."""
    return NAN if found.any() or reference.any() else 0.0


def outline(mask: BoolArray) -> BoolArray:
    """Voxels of the mask with a face to the background."""
    outline: BoolArray = mask & ~ndimage.binary_erosion(mask)
    return outline


def _nearest_mm(points: FloatArray, others: FloatArray) -> FloatArray:
    """Distance of each point ``[n, 3]`` to the nearest of the others; infinite without any."""
    if not len(others) or not len(points):
        return np.full(len(points), np.inf)
    distances: FloatArray = KDTree(others).query(points)[0]
    return distances


def _corner_codes(mask: BoolArray, *, outside: bool = False) -> npt.NDArray[np.uint8]:
    """Which of the eight voxels about each corner are in the mask, a bit each.

    Args:
        mask: bool ``[z, y, x]``.
        outside: what lies past the array.

    Returns:
        uint8, one larger than the mask along each axis.
    """
    padded = np.pad(mask, 1, constant_values=outside).astype(np.uint8)
    size = [n + 1 for n in mask.shape]
    codes = np.zeros(size, dtype=np.uint8)
    for bit, start in enumerate(np.ndindex(2, 2, 2)):
        cut = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        codes |= padded[cut] << bit
    return codes


@lru_cache(maxsize=8)
def _corner_areas_mm2(spacing_mm: SpacingMm) -> FloatArray:
    """Area of the surface at a corner for each of the 256 codes.

    Lorensen's marching cubes at half height, of the code or its complement, whichever is smaller:
    that is DeepMind's table.
    """
    areas = np.zeros(256)
    for code in range(1, 255):
        cube = np.array([(code >> bit) & 1 for bit in range(8)], dtype=float).reshape(2, 2, 2)
        corners, faces, _, _ = marching_cubes(cube, 0.5, spacing=spacing_mm, method="lorensen")
        areas[code] = mesh_surface_area(corners, faces)
    return np.minimum(areas, areas[::-1])
