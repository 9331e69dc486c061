"""An enhanced multi-frame CT file -> one header per frame, as if each were a file of its own.

PS3.3 A.38 (Enhanced CT Image) keeps what differs between slices in functional groups, either
shared by all frames or given per frame (C.7.6.16).
"""

from __future__ import annotations

import warnings

from pydicom.dataset import Dataset, FileDataset

from service.pipeline.dicom_header import Header

GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "CTAcquisitionDetailsSequence": ("GantryDetectorTilt",),
}
"""Functional group -> what a slice needs of it (PS3.3 C.7.6.16.2, C.8.15.3)."""

PER_FRAME = "PerFrameFunctionalGroupsSequence"
SHARED = "SharedFunctionalGroupsSequence"


def frames_of(header: Header) -> tuple[Header, ...]:
    """A header per frame: the file's own attributes and those of the frame's groups, flat.

    A group missing in both places leaves its attributes missing, which the reader of a slice
    refuses by name.

    Raises:
        SeriesError: ``missing_tag`` or ``invalid_tag`` for functional groups that are absent,
            malformed or not as many as Number of Frames.
    """
    number = header.count("NumberOfFrames")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            per_frame = list(header.dataset.get(PER_FRAME) or [])
            shared = list(header.dataset.get(SHARED) or [])
            frames = tuple(_flat(header, item, shared[:1]) for item in per_frame)
    except Exception as error:  # pydicom raises whatever the bytes provoke
        raise header.unreadable(PER_FRAME) from error
    if not frames:
        raise header.missing(PER_FRAME, "an item per frame")
    if len(frames) != number:
        raise header.invalid("NumberOfFrames", f"the number of items of {PER_FRAME}, {len(frames)}")
    return frames


def _flat(header: Header, per_frame: Dataset, shared: list[Dataset]) -> Header:
    """One frame's header; a group of its own goes before the shared one."""
    flat = FileDataset("", Dataset(), file_meta=header.dataset.file_meta)
    own = header.dataset
    flat.set_original_encoding(*own.original_encoding)
    # groups only, so that no attribute of the file itself stands in for a frame's
    inside = {keyword for keywords in GROUPS.values() for keyword in keywords}
    for element in own.elements():
        flat[element.tag] = element
    for keyword in (*inside, "NumberOfFrames", PER_FRAME, SHARED):
        if keyword in flat:
            del flat[keyword]
    for group, keywords in GROUPS.items():
        item = next((ds.get(group)[0] for ds in (per_frame, *shared) if ds.get(group)), None)
        for keyword in keywords:
            if item is not None and keyword in item:
                flat[keyword] = item[keyword]
    if "FrameType" in flat:
        flat.ImageType = flat.FrameType
    return Header(header.position, flat, header.end)
