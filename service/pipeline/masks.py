"""Probability maps -> periosteal and endosteal masks: Otsu, largest component, holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import BoolArray, CroppedVolume, FieldOfViewCuts, ProbabilityMap
from service.pipeline.resampling import resample

FOREGROUND_PROBABILITY = 0.5
"""Where no voxel exceeds it, the network saw nothing (Otsu would split noise in two)."""

CONFIDENT_THRESHOLDS = (0.2, 0.8)
"""An Otsu threshold outside means that the two classes are not well apart."""

NOWHERE: FloatArray = np.zeros((0, 3))

MIN_FEMUR_CM3 = 8.0
"""Less than a slab of shaft 10 mm long; a smaller find is not a femur."""


@dataclass(frozen=True)
class OtsuThreshold:
    """The probability that parts the classes.

    Attributes:
        value: 0-1.
        is_confident: whether it lies within ``CONFIDENT_THRESHOLDS``.
    """

    value: float
    is_confident: bool


def find_threshold(probabilities: ProbabilityMap) -> OtsuThreshold | None:
    """Otsu's threshold of a probability map (Otsu 1979; paper, section 2.3), 256 bins.

    Returns:
        None where no voxel exceeds ``FOREGROUND_PROBABILITY``.
    """
    values = probabilities.values
    if not values.size or float(values.max()) <= FOREGROUND_PROBABILITY:
        return None
    value = float(threshold_otsu(values.ravel(), nbins=256))
    low, high = CONFIDENT_THRESHOLDS
    return OtsuThreshold(value, low <= value <= high)


def solid(mask: BoolArray, through_zyx: FloatArray = NOWHERE) -> BoolArray:
    """The largest 26-connected component with its holes filled; all false stays all false.

    Args:
        mask: bool ``[z, y, x]``.
        through_zyx: indices ``[n, 3]``. Only components with a voxel at one of them count, unless
            there is none: on a scan of the whole pelvis what is largest need not be the femur.
    """
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3), dtype=bool))
    filled = np.zeros_like(mask)
    if count == 0:
        return filled
    sizes = np.bincount(labels[mask])
    at = np.rint(through_zyx).astype(np.int64)
    met = labels[tuple(at[((at >= 0) & (at < mask.shape)).all(axis=1)].T)]
    met = met[met > 0]
    chosen = int(met[sizes[met].argmax()] if met.size else sizes.argmax())
    # a hole lies within the component's bounding box, a fraction of the crop
    box = ndimage.find_objects(labels, chosen)[chosen - 1]
    filled[box] = ndimage.binary_fill_holes(labels[box] == chosen)
    return filled


def inside_only(crop: CroppedVolume, mask: BoolArray, outside_hu: float) -> CroppedVolume:
    """The CT inside a mask, ``outside_hu`` elsewhere (paper, section 3.2)."""
    hu = np.where(mask, crop.hu, np.float32(outside_hu)).astype(np.float32)
    return CroppedVolume(crop.side, hu, crop.geometry)


def on_source_grid(
    probabilities: ProbabilityMap, threshold: OtsuThreshold, box: VolumeGeometry
) -> BoolArray:
    """The mask on the source's voxels: probabilities are resampled, not masks.

    Args:
        probabilities: on the networks' grid; a right femur's runs backwards in x.
        threshold: found on that grid.
        box: grid of the crop box in the source.

    Returns:
        bool ``[z, y, x]`` on ``box``, one component without holes.
    """
    sampled = resample(probabilities.values, probabilities.geometry, box, outside=0.0)
    return solid(sampled > threshold.value)


def cuts_of(mask: BoolArray, at_edge: tuple[tuple[bool, bool], ...]) -> FieldOfViewCuts:
    """Where a periosteal mask meets the end of the scan or of the field of view.

    Args:
        mask: bool ``[z, y, x]`` in a crop box, z growing to superior.
        at_edge: for z, y, x: whether the box's first and last plane lie on the volume's edge.
    """
    (low_z, high_z), *in_plane = at_edge
    sides = []
    for axis, edges in enumerate(in_plane, start=1):
        for index, on_edge in zip((0, -1), edges, strict=True):
            sides.append(on_edge and bool(np.take(mask, index, axis=axis).any()))
    return FieldOfViewCuts(
        proximal=high_z and bool(mask[-1].any()),
        distal=low_z and bool(mask[0].any()),
        in_plane=any(sides),
    )
