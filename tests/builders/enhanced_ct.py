"""The slices of a small CT series as one enhanced multi-frame file (PS3.3 A.38)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage

PER_FRAME_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
}
SHARED_GROUPS = {
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing",),
}


def enhanced_ct(slices: Sequence[Dataset]) -> Dataset:
    """One data set whose frames are the slices, in the given order."""
    ds = Dataset()
    grouped = [k for keywords in (PER_FRAME_GROUPS | SHARED_GROUPS).values() for k in keywords]
    ds.update({element.tag: element for element in slices[0] if element.keyword not in grouped})
    ds.SOPClassUID = EnhancedCTImageStorage
    ds.SOPInstanceUID = f"{slices[0].SeriesInstanceUID}.99"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.NumberOfFrames = len(slices)
    ds.SharedFunctionalGroupsSequence = Items([_groups(slices[0], SHARED_GROUPS)])
    ds.PerFrameFunctionalGroupsSequence = Items([_groups(s, PER_FRAME_GROUPS) for s in slices])
    ds.PixelData = b"".join(s.PixelData for s in slices)
    return ds


def _groups(source: Dataset, groups: dict[str, tuple[str, ...]]) -> Dataset:
    item = Dataset()
    for group, keywords in groups.items():
        inner = Dataset()
        for keyword in keywords:
            if keyword in source:
                inner[keyword] = source[keyword]
        setattr(item, group, Items([inner]))
    return item
