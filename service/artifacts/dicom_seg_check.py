"""A DICOM segmentation read back: is it the masks it was made of?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset

from service.artifacts.segments import Segment
from service.domain.imaging import Analysis
from service.errors import ArtifactError

PLANE_TOLERANCE = 0.5
"""A frame read back belongs to the plane of the volume nearest to it, in voxels along each axis."""


def check_segmentation(path: Path, analysis: Analysis, segments: tuple[Segment, ...]) -> None:
    """Read a segmentation file and compare every frame with the masks, by its own position.

    Raises:
        ArtifactError: ``segmentation_mismatch``.
    """
    seg = pydicom.dcmread(path)
    data = np.frombuffer(seg.PixelData, np.uint8)
    expected = {segment.number: segment for segment in segments}
    number, full = 0, np.zeros(0, np.uint8)
    unseen: dict[int, int] = {s.number: int(s.mask.sum()) for s in segments}
    for index, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        pixels = _frame(data, index, (seg.Rows, seg.Columns))
        if (found := segment_number(groups, seg)) != number:
            number, full = found, expected[found].on_source(analysis)
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        z, y, x = analysis.source_geometry.lps_to_index([float(v) for v in position])
        k = min(max(round(float(z)), 0), len(full) - 1)
        if max(abs(z - k), abs(y), abs(x)) > PLANE_TOLERANCE or not np.array_equal(pixels, full[k]):
            raise _mismatch(f"a frame of segment {number} differs from its mask")
        unseen[number] -= int(pixels.sum())
    if any(unseen.values()):
        raise _mismatch("voxels are missing or doubled")


def _frame(
    data: npt.NDArray[np.uint8], index: int, shape: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """0/1 ``[row, column]`` of one frame; frames need not begin with a byte (PS3.5, 8.1.1)."""
    size = shape[0] * shape[1]
    first = index * size
    touched = data[first // 8 : -(-(first + size) // 8)]
    return np.unpackbits(touched, bitorder="little")[first % 8 :][:size].reshape(shape)


def segment_number(groups: Dataset, seg: Dataset) -> int:
    """Per frame, or shared where there is one segment only (PS3.3 C.8.20.3.2)."""
    holder = groups if "SegmentIdentificationSequence" in groups else None
    shared = seg.SharedFunctionalGroupsSequence[0]
    sequence = (holder or shared).SegmentIdentificationSequence
    return int(sequence[0].ReferencedSegmentNumber)


def _mismatch(what: str) -> ArtifactError:
    return ArtifactError(
        f"the DICOM segmentation, read back, is not the masks: {what}; no result is delivered: "
        "report this as a fault of femurct"
    )
