"""Odd series that hold a volume nevertheless: it must come out, every voxel in its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    XRayRadiationDoseSRStorage,
    generate_uid,
)

from service.domain.imaging import Member
from tests.builders.ct_series import ROOT, CtSeriesSpec, build_slices, ramp, to_members
from tests.builders.enhanced_ct import enhanced_ct
from tests.builders.odd_case import (
    ANY_HU,
    Build,
    Built,
    FloatArray,
    Rule,
    changed,
    moved,
    truth_of,
)

PADDING = -2000


def _every(**values: object) -> Build:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            for keyword, value in values.items():
                setattr(ds, keyword, value)

    return changed(change)


def _number_backwards(slices: list[Dataset]) -> None:
    for number, ds in enumerate(slices):
        ds.InstanceNumber = len(slices) - number
        ds.SliceLocation = str(7 * (number % 2))


def _shuffle(slices: list[Dataset]) -> None:
    slices[:] = [slices[i] for i in (3, 0, 5, 1, 4, 2)]


def _copy(slices: list[Dataset]) -> None:
    slices += [slices[2], slices[4]]


def _add_localizer(slices: list[Dataset]) -> None:
    scout = build_slices(CtSeriesSpec())[0]
    scout.SOPInstanceUID = ROOT + "77"
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.SeriesInstanceUID = slices[0].SeriesInstanceUID
    slices.insert(0, scout)


def _add_derived(slices: list[Dataset]) -> None:
    for number, ds in enumerate(build_slices(CtSeriesSpec(orientation=(1, 0, 0, 0, 0, -1)))):
        ds.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED"]
        ds.SOPInstanceUID = f"{ROOT}78.{number}"
        ds.SeriesInstanceUID = slices[0].SeriesInstanceUID
        slices.append(ds)


def _beside_other_objects(spec: CtSeriesSpec) -> Built:
    others = build_slices(replace(spec, series_uid=ROOT + "5"))
    classes = (
        (SecondaryCaptureImageStorage, "OT"),
        (RTStructureSetStorage, "RTSTRUCT"),
        (XRayRadiationDoseSRStorage, "SR"),
        (MediaStorageDirectoryStorage, ""),
    )
    for ds, (sop_class, modality) in zip(others, classes, strict=False):
        ds.SOPClassUID, ds.Modality = sop_class, modality
    files = to_members([*others[: len(classes)], *build_slices(spec)])
    stray = Member(90, b"AUTORUN.INF"), Member(91, b""), Member(92, bytes(300))
    return Built([*files, *stray], (truth_of(spec),))


def _beside_second(spec: CtSeriesSpec, **values: object) -> tuple[list[Dataset], CtSeriesSpec]:
    second = replace(spec, series_uid=ROOT + "2", stored=np.asarray(spec.stored + 1000, np.int16))
    slices = build_slices(second)
    for ds in slices:
        for keyword, value in values.items():
            setattr(ds, keyword, value)
    return slices, second


def _beside_sharp_kernel(spec: CtSeriesSpec) -> Built:
    sharp, second = _beside_second(spec, ConvolutionKernel="BONE")
    soft = build_slices(spec)
    for ds in soft:
        ds.ConvolutionKernel = "STANDARD"
    return Built(to_members([*sharp, *soft]), (truth_of(spec), truth_of(second)))


def _beside_thick(spec: CtSeriesSpec) -> Built:
    thick, second = _beside_second(replace(spec, spacing_zyx_mm=(5.0, 0.5, 0.75)))
    return Built(to_members([*thick, *build_slices(spec)]), (truth_of(spec), truth_of(second)))


def _beside_chest(spec: CtSeriesSpec) -> Built:
    chest, second = _beside_second(
        replace(spec, spacing_zyx_mm=(1.0, 0.5, 0.75)), BodyPartExamined="CHEST"
    )
    return Built(to_members([*chest, *build_slices(spec)]), (truth_of(spec), truth_of(second)))


def _two_stacks(spec: CtSeriesSpec) -> Built:
    turned = (*spec.orientation[3:], *(-v for v in spec.orientation[:3]))
    other = replace(spec, orientation=turned, stored=np.asarray(spec.stored[:4] + 50, np.int16))
    slices = build_slices(other)
    for number, ds in enumerate(slices):
        ds.SOPInstanceUID = f"{ROOT}79.{number}"
    return Built(to_members([*slices, *build_slices(spec)]), (truth_of(spec), truth_of(other)))


def _tilt(degrees: float) -> Build:
    def move(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
        for number, ds in enumerate(slices):
            shift = number * 2.0 * np.tan(np.deg2rad(degrees)) * down
            ds.ImagePositionPatient = [
                round(float(v), 6) for v in np.add(ds.ImagePositionPatient, shift)
            ]
            ds.GantryDetectorTilt = str(degrees)

    return moved(move)


def _round_positions(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    for number, ds in enumerate(slices):
        jitter = (0.0, 0.04, -0.03, 0.02, -0.04, 0.0)[number]
        ds.ImagePositionPatient = [
            round(float(v), 6) for v in np.add(ds.ImagePositionPatient, jitter * normal)
        ]


def _drop_one(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    del slices[3]


def _rescale_each(spec: CtSeriesSpec) -> Built:
    slices = build_slices(spec)
    hu = spec.stored.astype(np.float64)
    for number, ds in enumerate(slices):
        ds.RescaleSlope, ds.RescaleIntercept = str(1 + number % 2), str(-10 * number)
        hu[number] = hu[number] * (1 + number % 2) - 10 * number
    return Built(to_members(slices), (truth_of(spec, hu=hu),))


def _padding(spec: CtSeriesSpec) -> Built:
    stored = spec.stored.copy()
    stored[:, 0, :3] = PADDING
    slices = build_slices(replace(spec, stored=stored))
    for ds in slices:
        ds.add_new("PixelPaddingValue", "SS", PADDING)
    hu = np.where(stored == PADDING, ANY_HU, stored)
    return Built(to_members(slices), (truth_of(spec, hu=hu),))


def _stored_as(dtype: type[np.integer], **changes: object) -> Build:
    def build(spec: CtSeriesSpec) -> Built:
        stored = (spec.stored % 250).astype(dtype)
        written = replace(spec, stored=stored, **changes)
        return Built(to_members(build_slices(written)), (truth_of(written),))

    return build


def _twelve_bits(spec: CtSeriesSpec) -> Built:
    hu = spec.stored - 300
    garbage = np.asarray((hu & 0x0FFF) | 0x5000, np.int16)
    slices = build_slices(replace(spec, stored=garbage, bits_stored=12))
    return Built(to_members(slices), (truth_of(spec, hu=hu),))


def _encoded(syntax: UID) -> Build:
    def build(spec: CtSeriesSpec) -> Built:
        # wavelets and predictors want more than a handful of pixels
        larger = replace(spec, stored=ramp((6, 32, 40)))
        return Built(to_members(build_slices(larger), syntax), (truth_of(larger),))

    return build


def _without_meta(spec: CtSeriesSpec) -> Built:
    begin = b"\x08\x00\x08\x00CS"
    members = [
        Member(m.position, m.content[m.content.index(begin) :])
        for m in to_members(build_slices(spec))
    ]
    return Built(members, (truth_of(spec),))


def _enhanced(*order: int) -> Build:
    def build(spec: CtSeriesSpec) -> Built:
        slices = build_slices(spec)
        frames = enhanced_ct([slices[i] for i in order or range(len(slices))])
        return Built(to_members([frames]), (truth_of(spec),))

    return build


def _own_frames_of_reference(slices: list[Dataset]) -> None:
    for ds in slices:
        ds.FrameOfReferenceUID = generate_uid()


def _round_cosines(slices: list[Dataset]) -> None:
    for ds in slices:
        ds.ImageOrientationPatient = [round(float(v), 4) for v in ds.ImageOrientationPatient]


ACCEPTED = (
    Rule("plain", changed(lambda slices: None)),
    Rule("files in reverse order", changed(list.reverse)),
    Rule("files shuffled", changed(_shuffle)),
    Rule("Instance Number and Slice Location contradict positions", changed(_number_backwards)),
    Rule("copies of two slices", changed(_copy)),
    Rule("a localizer in the series", changed(_add_localizer)),
    Rule("derived reformats in the series", changed(_add_derived)),
    Rule("beside RTSTRUCT, dose report, secondary capture, DICOMDIR", _beside_other_objects),
    Rule("beside a bone kernel of the same scan", _beside_sharp_kernel),
    Rule("beside a thicker reconstruction", _beside_thick),
    Rule("beside a thinner series of the chest", _beside_chest),
    Rule("two stacks of slices in one series", _two_stacks),
    Rule("gantry tilt of 15 degrees", _tilt(15.0)),
    Rule("gantry tilt of -22 degrees", _tilt(-22.0)),
    Rule("positions rounded to 0.1 mm", moved(_round_positions), tolerance_mm=0.1),
    Rule("a missing slice, to be filled on request", moved(_drop_one), resample_gaps=True),
    Rule("rescale slope and intercept of each slice its own", _rescale_each),
    Rule("rescale slope of one half", _stored_as(np.int16, slope=0.5, intercept=-100.25)),
    Rule("MONOCHROME1", _every(PhotometricInterpretation="MONOCHROME1")),
    Rule("Pixel Padding Value", _padding),
    Rule("unsigned 16 bit", _stored_as(np.uint16, intercept=-1024)),
    Rule("12 bit signed, garbage above", _twelve_bits),
    Rule("8 bit", _stored_as(np.uint8, bits_stored=8, slope=8, intercept=-1000)),
    Rule("Implicit VR Little Endian", _encoded(ImplicitVRLittleEndian)),
    Rule("Explicit VR Big Endian", _encoded(ExplicitVRBigEndian)),
    Rule("Deflated Explicit VR", _encoded(DeflatedExplicitVRLittleEndian)),
    Rule("RLE", _encoded(RLELossless)),
    Rule("JPEG-LS", _encoded(JPEGLSLossless)),
    Rule("JPEG 2000", _encoded(JPEG2000Lossless)),
    Rule("no preamble and no file meta information", _without_meta),
    Rule("enhanced multi-frame CT", _enhanced()),
    Rule("enhanced multi-frame CT, frames shuffled", _enhanced(3, 0, 5, 1, 4, 2)),
    Rule("a frame of reference per file", changed(_own_frames_of_reference)),
    Rule("Slice Thickness unlike the spacing", _every(SliceThickness="5")),
    Rule("Spacing Between Slices negative", _every(SpacingBetweenSlices="-3")),
    Rule("feet first", _every(PatientPosition="FFS")),
    Rule("decubitus", _every(PatientPosition="HFDL")),
    Rule("cosines rounded to 4 digits", changed(_round_cosines)),
)
