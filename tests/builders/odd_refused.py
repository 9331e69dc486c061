"""Odd series that hold no volume, or not one that can be told from a wrong one: refused by code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.domain.imaging import Member
from tests.builders.ct_series import CtSeriesSpec, build_slices, to_members
from tests.builders.enhanced_ct import enhanced_ct
from tests.builders.odd_case import Build, Built, FloatArray, Rule, changed, moved, truth_of


def _move(ds: Dataset, by_mm: FloatArray) -> None:
    position = np.add([float(v) for v in ds.ImagePositionPatient], by_mm)
    ds.ImagePositionPatient = [round(float(v), 6) for v in position]


def _drop_one(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    del slices[3]


def _spread(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    for ds in slices[3:]:
        _move(ds, 1.5 * normal)


def _widen(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    for number, ds in enumerate(slices):
        _move(ds, 8.0 * number * normal)


def _shift_one(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    _move(slices[2], 3.0 * down)


def _lean_too_far(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    for number, ds in enumerate(slices):
        _move(ds, 2.0 * number * down)


def _second_phase(slices: list[Dataset]) -> None:
    for number, ds in enumerate(build_slices(CtSeriesSpec(stored=np.zeros((6, 7, 8), np.int16)))):
        ds.SOPInstanceUID = f"{slices[0].SeriesInstanceUID}.{50 + number}"
        ds.ImagePositionPatient = slices[number].ImagePositionPatient
        ds.ImageOrientationPatient = slices[number].ImageOrientationPatient
        slices.append(ds)


def _uid_twice(slices: list[Dataset]) -> None:
    slices[1].SOPInstanceUID = slices[0].SOPInstanceUID


def _uid_twice_other_pixels(spec: CtSeriesSpec) -> Built:
    slices = build_slices(spec)
    other = build_slices(spec)[2]
    other.PixelData = bytes(len(other.PixelData))
    return Built(to_members([*slices, other]))


def _fan(slices: list[Dataset]) -> None:
    for number, ds in enumerate(slices):
        row, column = np.array(ds.ImageOrientationPatient).reshape(2, 3)
        angle = np.deg2rad(5.0 * number)
        turned = np.cos(angle) * row + np.sin(angle) * np.cross(column, row)
        ds.ImageOrientationPatient = [round(float(v), 9) for v in (*turned, *column)]


def _other_patient(slices: list[Dataset]) -> None:
    slices[4].PatientID = "4712"


def _mixed_spacing(slices: list[Dataset]) -> None:
    for ds in slices[3:]:
        ds.PixelSpacing = [0.6, 0.75]


def _cut_file(spec: CtSeriesSpec) -> Built:
    members = to_members(build_slices(spec))
    members[2] = Member(3, members[2].content[:-40])
    return Built(members)


def _localizers(slices: list[Dataset]) -> None:
    for ds in slices:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _two_left(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    del slices[2:]


def _cut_off(slices: list[Dataset], normal: FloatArray, down: FloatArray) -> None:
    del slices[4:]


def _raw(keyword: str, text: str | None) -> Build:
    """One slice's value replaced by text as it may stand in a file; None leaves the tag out."""

    def change(slices: list[Dataset]) -> None:
        tag = Tag(keyword)
        del slices[1][tag]
        if text is not None:
            raw = text.encode().ljust(len(text) + len(text) % 2)
            slices[1][tag] = RawDataElement(tag, "DS", len(raw), raw, 0, False, True)

    return changed(change, truth=False)


def _negative_slope(spec: CtSeriesSpec) -> Built:
    slices = build_slices(spec)
    slices[1].RescaleSlope = "-1"
    hu = spec.stored.astype(np.float64)
    hu[1] *= -1
    return Built(to_members(slices), (truth_of(spec, hu=hu),))


def _enhanced(change: Callable[[Dataset], object], *, drop: int | None = None) -> Build:
    def build(spec: CtSeriesSpec) -> Built:
        slices = build_slices(spec)
        frames = enhanced_ct([s for i, s in enumerate(slices) if i != drop])
        change(frames)
        truths = ()
        if drop is not None:
            whole = truth_of(spec)
            kept = [i for i in range(len(slices)) if i != drop]
            truths = (truth_of(spec, positions_mm=whole.positions_mm[kept], hu=whole.hu[kept]),)
        return Built(to_members([frames]), truths)

    return build


def _no_place(frames: Dataset) -> None:
    del frames.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence


def _frame_too_many(frames: Dataset) -> None:
    frames.NumberOfFrames = 7


def _values(keyword: str, code: str, *texts: str | None) -> tuple[Rule, ...]:
    return tuple(
        Rule(f"{keyword} {'missing' if t is None else t}", _raw(keyword, t), code) for t in texts
    )


REFUSED = (
    Rule("a missing slice", moved(_drop_one), "uneven_spacing"),
    Rule("spacing that changes half way", moved(_spread), "uneven_spacing"),
    Rule("slices 10 mm apart", moved(_widen), "slices_too_thick"),
    Rule("one slice shifted sideways", moved(_shift_one), "unaligned_slices"),
    Rule("slices that lean by 45 degrees", moved(_lean_too_far), "gantry_tilt"),
    Rule("two phases in one series", changed(_second_phase, truth=False), "duplicate_position"),
    Rule("one SOP Instance UID for two places", changed(_uid_twice), "duplicate_instance"),
    Rule("a copy with other pixels", _uid_twice_other_pixels, "duplicate_instance"),
    Rule("slices turned about a common axis", changed(_fan, truth=False), "too_few_slices"),
    Rule("two patients in one series", changed(_other_patient, truth=False), "several_patients"),
    Rule("Pixel Spacing that changes", changed(_mixed_spacing, truth=False), "mixed_pixel_spacing"),
    Rule("a file cut off", _cut_file, "truncated_pixel_data"),
    Rule("localizers only", changed(_localizers), "no_ct_series"),
    Rule("two slices", moved(_two_left), "too_few_slices"),
    Rule(
        "the last two slices not sent",
        moved(_cut_off),
        "instance_count_mismatch",
        expected_instances=6,
    ),
    *_values("RescaleSlope", "missing_tag", None),
    *_values("RescaleSlope", "invalid_tag", "nan", "0", "1\\2"),
    Rule("RescaleSlope -1", _negative_slope, "invalid_tag"),
    *_values("RescaleIntercept", "missing_tag", None),
    *_values("RescaleIntercept", "invalid_tag", "inf"),
    *_values("PixelSpacing", "missing_tag", None),
    *_values("PixelSpacing", "invalid_tag", "0\\0.75", "0.5"),
    *_values("ImagePositionPatient", "missing_tag", None),
    *_values("ImagePositionPatient", "invalid_tag", "0\\0\\nan"),
    *_values("ImageOrientationPatient", "missing_tag", None),
    *_values("ImageOrientationPatient", "invalid_tag", "1\\0\\0\\1\\0\\0", "0\\0\\0\\0\\0\\0"),
    Rule("enhanced CT, a frame missing", _enhanced(lambda ds: None, drop=2), "uneven_spacing"),
    Rule("enhanced CT, a frame without place", _enhanced(_no_place), "missing_tag"),
    Rule("enhanced CT, fewer frames than claimed", _enhanced(_frame_too_many), "invalid_tag"),
)
