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

FLAT_FACE = 0.6
"""Share of the next plane's area above which a mask's outermost plane is a cut, not a rounded end.

The tip of a sphere has at most 0.5. Exact masks of 16 anatomical phantoms, in the scan's axes and
turned by 10 to 20 degrees to four sides, had at their upper ends (planes 1, 2 and 3 mm apart) at
most 0.597 in 390, at their sides (0.8 and 1.6 mm) at most 0.614, over 0.6 in 2 of 852. Cut 8 to
20 mm below the upper end they had 0.72 or more in all 1560, cut 5 mm below it over 0.6 in 386 of
390 and 3 mm below in 289; cut 5 mm within a side (0.8 mm) in all 284, 3 mm within in 279."""


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


def is_cut(mask: BoolArray, axis: int, *, last: bool) -> bool:
    """Whether bone goes on beyond one side of a mask's grid.

    It does where the mask meets the side, and where it ends one voxel short of it in a flat face:
    a network sees nothing beyond the last slice and may leave it out.

    Args:
        mask: bool ``[z, y, x]``.
        axis: of the array.
        last: its last plane's side, else its first's.
    """
    planes = np.moveaxis(mask, axis, 0)
    border = planes[:-4:-1] if last else planes[:3]
    areas = np.count_nonzero(border, axis=(1, 2))
    is_flat = areas.size == 3 and areas[1] > FLAT_FACE * areas[2]
    return bool(areas[0] > 0 or is_flat)


def cuts_of(mask: BoolArray, at_edge: tuple[tuple[bool, bool], ...]) -> FieldOfViewCuts:
    """Where the end of the scan or of the field of view cuts a periosteal mask.

    Args:
        mask: bool ``[z, y, x]`` in a crop box, z growing to superior.
        at_edge: for z, y, x: whether the box's first and last plane lie on the volume's edge.
    """
    (distal, proximal), *in_plane = (
        tuple(
            on_edge and is_cut(mask, axis, last=last)
            for last, on_edge in zip((False, True), edges, strict=True)
        )
        for axis, edges in enumerate(at_edge)
    )
    return FieldOfViewCuts(proximal, distal, in_plane=any(map(any, in_plane)))
