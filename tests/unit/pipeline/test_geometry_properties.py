"""Whatever grid a scanner chooses, positions in equal positions out; whatever a header says, a
volume or a refusal."""

from contextlib import suppress

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from scipy.spatial.transform import Rotation

from service.domain.geometry import AxisOrder, Box, SpacingMm, VolumeGeometry
from service.errors import SeriesError
from service.pipeline.resampling import network_geometry
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.ct_series import CtSeriesSpec, build_slices, ramp, to_members

FAST = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

angles = st.floats(-180, 180)
spacings = st.floats(0.3, 5.0)
places = st.floats(-500, 500)


@st.composite
def grids(draw: st.DrawFn) -> VolumeGeometry:
    """Turned anyhow, and leaning by up to 30 degrees."""
    turn = Rotation.from_euler("xyz", [draw(angles) for _ in range(3)], degrees=True).as_matrix()
    lean = np.eye(3)
    lean[1, 2] = np.tan(np.deg2rad(draw(st.floats(-30, 30))))
    affine = np.eye(4)
    affine[:3, :3] = turn @ lean @ np.diag([draw(spacings) for _ in range(3)])
    affine[:3, 3] = [draw(places) for _ in range(3)]
    shape = tuple(draw(st.integers(2, 9)) for _ in range(3))
    return VolumeGeometry((shape[0], shape[1], shape[2]), affine)


@FAST
@given(grids(), st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_index_to_mm_and_back_is_the_same_place(grid: VolumeGeometry, index: list[float]) -> None:
    np.testing.assert_allclose(grid.lps_to_index(grid.index_to_lps(index)), index, atol=1e-7)


@FAST
@given(grids())
def test_turning_and_cropping_leave_every_voxel_in_its_place(grid: VolumeGeometry) -> None:
    places_mm = grid.index_to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1))
    order = AxisOrder.closest_to_spl(grid)
    turned = order.apply_geometry(grid)
    x, y, z = (order.apply(places_mm[..., axis]) for axis in range(3))
    found = turned.index_to_lps(np.stack(np.indices(turned.shape_zyx), axis=-1))
    np.testing.assert_allclose(found, np.stack([x, y, z], axis=-1), atol=1e-6)
    np.testing.assert_array_equal(order.invert(order.apply(places_mm[..., 0])), places_mm[..., 0])
    box = Box((1, 0, 1), turned.shape_zyx)
    np.testing.assert_allclose(turned.crop(box).index_to_lps((0, 0, 0)), found[1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(turned.voxel_volume_mm3, grid.voxel_volume_mm3)


@FAST
@given(grids())
def test_the_networks_grid_is_a_box_around_any_crop(grid: VolumeGeometry) -> None:
    spacing = SpacingMm(1.0, 0.8, 0.8)
    target = network_geometry(AxisOrder.closest_to_spl(grid).apply_geometry(grid), spacing)
    axes = target.affine_lps[:3, :3] / np.array([0.8, 0.8, 1.0])
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=2e-3)
    index = target.lps_to_index(grid.index_to_lps(np.stack(np.indices(grid.shape_zyx), axis=-1)))
    assert (index >= -0.5).all()
    assert (index <= np.array(target.shape_zyx) - 0.5).all()


@FAST
@given(st.data())
def test_a_series_lies_where_it_was_written_to(data: st.DataObject) -> None:
    turn = Rotation.from_euler("xyz", [data.draw(angles) for _ in range(3)], degrees=True)
    matrix = turn.as_matrix()
    spec = CtSeriesSpec(
        stored=ramp((4, 2, 3)),
        orientation=(*matrix[:, 0], *matrix[:, 1]),
        spacing_zyx_mm=(data.draw(spacings), data.draw(spacings), data.draw(spacings)),
        origin_lps_mm=(data.draw(places), data.draw(places), data.draw(places)),
    )
    order = data.draw(st.permutations(range(4)))
    slices = build_slices(spec)
    series = read_series(to_members([slices[i] for i in order]))
    step_z, step_y, step_x = spec.spacing_zyx_mm
    expected = np.array(spec.origin_lps_mm) + matrix @ [2 * step_x, step_y, 3 * step_z]
    found = series.geometry.index_to_lps((3, 1, 2))
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_array_equal(read_volume(series).hu, spec.stored)


NUMERIC = {
    "ImagePositionPatient": "DS", "ImageOrientationPatient": "DS", "PixelSpacing": "DS",
    "RescaleSlope": "DS", "RescaleIntercept": "DS", "GantryDetectorTilt": "DS",
    "NumberOfFrames": "IS", "Rows": "US", "Columns": "US", "BitsAllocated": "US",
    "BitsStored": "US", "HighBit": "US", "PixelRepresentation": "US", "SamplesPerPixel": "US",
    "PixelPaddingValue": "US", "ImageType": "CS", "Modality": "CS", "SOPClassUID": "UI",
    "SeriesInstanceUID": "UI", "SOPInstanceUID": "UI", "PhotometricInterpretation": "CS",
    "PatientID": "LO", "ConvolutionKernel": "SH", "PerFrameFunctionalGroupsSequence": "SQ",
    "SharedFunctionalGroupsSequence": "SQ", "PixelData": "OW", "FrameOfReferenceUID": "UI",
}  # fmt: skip
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers(-(10**12), 10**12).map(str),
    st.sampled_from(["", " ", "0", "-0", "1e400", "0x10", "1,5", "\\", "1\\", "nan", "1_0"]),
)
values = st.one_of(
    st.lists(numbers, max_size=8).map(lambda parts: "\\".join(parts).encode()),
    st.binary(max_size=40),
)


@settings(FAST, max_examples=250)
@given(st.sampled_from(sorted(NUMERIC)), values, st.sampled_from(["one", "all"]))
def test_no_header_value_causes_anything_but_a_volume_or_a_refusal(
    keyword: str, value: bytes, where: str
) -> None:
    slices = build_slices(CtSeriesSpec(stored=ramp((3, 2, 3))))
    raw = value + b" " * (len(value) % 2)
    tag = Tag(keyword)
    for ds in slices if where == "all" else slices[1:2]:
        ds[tag] = RawDataElement(tag, NUMERIC[keyword], len(raw), raw, 0, False, True)
    try:
        members = to_members(slices)
    except Exception:  # the writer refuses what only a damaged file can hold
        return
    try:
        volume = read_volume(read_series(members))
    except SeriesError:
        return
    assert np.isfinite(volume.geometry.affine_lps).all()
    assert np.isfinite(volume.hu).all()


@settings(FAST, max_examples=150)
@given(st.integers(0, 2), st.integers(128, 900), st.binary(min_size=1, max_size=6))
def test_no_damaged_byte_causes_anything_but_a_volume_or_a_refusal(
    which: int, at: int, damage: bytes
) -> None:
    members = to_members(build_slices(CtSeriesSpec(stored=ramp((3, 2, 3)))))
    content = bytearray(members[which].content)
    content[at : at + len(damage)] = damage
    members[which] = type(members[which])(which + 1, bytes(content))
    with suppress(SeriesError):
        read_volume(read_series(members))
