"""Pseudo-labels of a real series: the networks' own masks, snapped to the edges that its CT shows.

Each contour is moved, slice by slice along its normal, to where HU is half-way between the cortex
and what lies beyond it, as in our annotations of real series. Where there is no such edge within
reach the label keeps the networks' contour and is not trusted; so it is where the cortex is too
thin for the half-way rule. What is written is a case of one's own (``user_cases``). Made for
shafts, whose surfaces stand steeply in the slice. A pseudo-label is to be looked at before use: an
edge says where a bone ends, not which bone it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from model_export.annotated_series import read_archive
from model_export.cases import TRUST_BOTH, TRUST_NONE, TRUST_PERIOSTEAL
from service.artifacts.nifti import write_nifti
from service.domain.geometry import AxisOrder, FloatArray, SpacingMm
from service.domain.imaging import BoolArray, CtVolume, FemurMasks
from service.pipeline.cascade import (
    Networks,
    delivered_masks,
    find_surface,
    is_femur,
    masked_crop,
)
from service.pipeline.crop import find_femurs
from service.pipeline.resampling import to_network_grid

SNAP_MM = 2.0
"""A contour is moved by no more."""

PLATEAU_MM = 2.5
"""Beyond that reach, cortex and the tissue next to it are looked for so far."""

STEP_MM = 0.25
"""Of the HU profile along a normal."""

LEAST_CONTRAST_HU = 300.0
"""Between cortex and what lies beyond; spongy bone in marrow has less."""

LEAST_CORTEX_MM = 2.8
"""Of a thinner cortex the half-way points lie too far apart (README-1 and 2 of the annotations)."""

FAR_MM = 1e6
"""Height over a surface that a slice does not have."""

SMOOTHED_POINTS = 9
"""Contour points, about a pixel apart, over which the median of the shifts is taken."""


@dataclass(frozen=True, eq=False)
class SnappedSurface:
    """A surface after snapping.

    Attributes:
        mask: bool ``[z, y, x]``.
        height_mm: float64 of the same shape, in-plane distance to the surface, negative inside;
            ``FAR_MM`` in a slice without contour.
        found: bool of the same shape, whether the surface nearest to a voxel lies on an edge.
    """

    mask: BoolArray
    height_mm: FloatArray
    found: BoolArray


def pseudo_labels(archive: Path, networks: Networks, out: Path) -> Iterator[Path]:
    """Writes each femur of a series as a case: CT, both masks and trust, on the CT's own voxels.

    Args:
        archive: zip of DICOM files; may show a shaft only.
        networks: of the cascade.
        out: parent of the cases' folders ``<archive>_<side>``.

    Yields:
        Each folder; none where no femur is found.

    Raises:
        CaseError, SeriesError: see ``read_archive``.
    """
    source = read_archive(archive)
    order = AxisOrder.closest_to_spl(source.geometry)
    volume = CtVolume(order.apply(source.hu), order.apply_geometry(source.geometry))
    for crop in find_femurs(volume):
        spacing = SpacingMm(*networks.periosteal.contract.spacing_mm)
        cropped = to_network_grid(volume, crop, spacing)
        outer = find_surface(cropped, networks.periosteal, None, lambda: None)
        if outer is None or not is_femur(outer):
            continue
        inside = masked_crop(cropped, outer, networks.endosteal.contract.outside_hu)
        inner = find_surface(inside, networks.endosteal, None, lambda: None)
        masks = delivered_masks(outer, inner, crop.side, volume.geometry.crop(crop.box))
        folder = out / f"{archive.stem}_{crop.side}"
        _write(volume.hu[crop.box.slices], masks, folder)
        yield folder


def _write(hu: npt.NDArray[np.generic], masks: FemurMasks, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = hu.astype(np.int16).transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(values, masks.geometry.affine_ras), folder / "ct.nii.gz")
    snapped, trust = snap_femur(hu.astype(np.float64), masks)
    for name, labels in (
        ("periosteal", snapped.periosteal),
        ("endosteal", snapped.endosteal),
        ("trust", trust),
    ):
        path = folder / f"{name}.nii.gz"
        write_nifti(np.ascontiguousarray(labels, dtype=np.uint8), masks.geometry, path)


def snap_femur(hu: FloatArray, masks: FemurMasks) -> tuple[FemurMasks, npt.NDArray[np.uint8]]:
    """Both surfaces on the edges of the CT, and the trust map (``cases``) of the result.

    Args:
        hu: float64 ``[z, y, x]`` on the masks' grid, whose z axis runs along the body.
        masks: of one femur.
    """
    _, *pixel_mm = masks.geometry.spacing_mm
    outer = snap(masks.periosteal, hu, (pixel_mm[0], pixel_mm[1]), cortex_within=True)
    inner = snap(masks.endosteal, hu, (pixel_mm[0], pixel_mm[1]), cortex_within=False)
    cortex_mm = inner.height_mm - outer.height_mm
    both = inner.found & (cortex_mm >= LEAST_CORTEX_MM)
    trust = np.where(both, TRUST_BOTH, TRUST_PERIOSTEAL)
    trust[~outer.found] = TRUST_NONE
    endosteal = inner.mask & outer.mask
    snapped = FemurMasks(masks.side, outer.mask, endosteal, masks.geometry)
    return snapped, trust.astype(np.uint8)


def snap(
    mask: BoolArray, hu: FloatArray, pixel_mm: tuple[float, float], *, cortex_within: bool
) -> SnappedSurface:
    """A surface moved to the half-way edge between cortex and what lies beyond it.

    Args:
        mask: bool ``[z, y, x]``.
        hu: float64 of the same shape.
        pixel_mm: of a slice, (y, x).
        cortex_within: whether the cortex lies inside the surface (periosteal) or outside.
    """
    found: BoolArray = np.zeros_like(mask)
    height_mm = np.full(mask.shape, FAR_MM)
    for k in range(len(mask)):
        height_mm[k], found[k] = _snap_slice(mask[k], hu[k], pixel_mm, -1 if cortex_within else 1)
    return SnappedSurface(height_mm < 0, height_mm, found)


def _snap_slice(
    mask: BoolArray, hu: FloatArray, pixel_mm: tuple[float, float], cortex: int
) -> tuple[FloatArray, BoolArray]:
    """Height over the moved contour and whether its nearest point lies on an edge, ``[y, x]``.

    Args:
        mask: bool ``[y, x]``.
        hu: of the same shape.
        pixel_mm: (y, x).
        cortex: on which side it is, -1 inside, 1 outside.
    """
    pixel = np.array(pixel_mm)
    inside, outside = (ndimage.distance_transform_edt(m, pixel_mm) for m in (mask, ~mask))
    height = ndimage.gaussian_filter(outside - inside, 1.0)
    contours = find_contours(height, 0.0) if mask.any() and not mask.all() else []
    if not contours:
        return np.full(mask.shape, FAR_MM), np.zeros_like(mask)
    points = np.concatenate(contours)
    slopes = np.gradient(height, *pixel_mm)
    normals = np.stack([ndimage.map_coordinates(s, points.T, order=1) for s in slopes], axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    reach = SNAP_MM + PLATEAU_MM
    offsets = np.arange(-reach, reach + STEP_MM / 2, STEP_MM)
    # towards what lies beyond the cortex
    places = points[:, None] - cortex * offsets[:, None] * normals[:, None] / pixel
    profiles = ndimage.map_coordinates(hu, places.transpose(2, 0, 1), order=1, cval=np.nan)
    edges = _edges_mm(profiles, offsets)
    tree = cKDTree(points * pixel)
    _, near = tree.query(points * pixel, min(SMOOTHED_POINTS, len(points)))
    sure = np.isfinite(edges)
    counted = np.where(sure, edges, 0.0)
    shifts = np.where(sure, -cortex * np.median(counted[near], axis=1), 0.0)
    _, nearest = tree.query(np.moveaxis(np.indices(mask.shape), 0, -1) * pixel)
    return height - shifts[nearest], sure[nearest]


def _edges_mm(profiles: FloatArray, offsets_mm: FloatArray) -> FloatArray:
    """Where each profile, from the cortex outwards, falls half-way; NaN where it does not.

    Args:
        profiles: HU ``[n, m]``; NaN outside the scan.
        offsets_mm: ``[m]``, ascending.
    """
    within = np.where(offsets_mm <= SNAP_MM, profiles, -np.inf)
    peak_at = np.argmax(within, axis=1)[:, None]
    peak = np.take_along_axis(profiles, peak_at, axis=1)
    beyond = np.arange(len(offsets_mm)) > peak_at
    tissue = np.min(np.where(beyond, profiles, np.inf), axis=1, keepdims=True)
    half = (peak + tissue) / 2
    below = np.argmax(beyond & (profiles < half), axis=1)
    rows = np.arange(len(profiles))
    before, after = profiles[rows, below - 1], profiles[rows, below]
    share = (before - half[:, 0]) / np.where(before > after, before - after, 1.0)
    edges: FloatArray = offsets_mm[below - 1] + share * STEP_MM
    good = (below > 0) & ((peak - tissue)[:, 0] >= LEAST_CONTRAST_HU) & (np.abs(edges) <= SNAP_MM)
    return np.where(good, edges, np.nan)
