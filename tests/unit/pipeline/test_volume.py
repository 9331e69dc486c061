from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from service.domain.imaging import CtVolume, Member
from service.pipeline.series import read_series
from service.pipeline.volume import AIR_HU, read_volume
from tests.builders.ct_series import (
    CtSeriesSpec,
    build_slices,
    ct_members,
    encode,
    ramp,
    to_members,
)
from tests.builders.enhanced_ct import enhanced_ct
from tests.builders.refusals import refusal


def _read(members: list[Member]) -> CtVolume:
    return read_volume(read_series(members))


def _volume(
    spec: CtSeriesSpec | None = None, change: Callable[[list[Dataset]], object] | None = None
) -> CtVolume:
    return _read(ct_members(spec, change))


def test_voxels_come_in_z_y_x_along_the_normal_and_are_read_only() -> None:
    volume = _volume(change=list.reverse)
    assert volume.hu.dtype == np.int16
    assert volume.hu.tolist() == ramp().tolist()
    assert not volume.hu.flags.writeable
    assert volume.geometry.shape_zyx == (4, 5, 6)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
def test_lossless_transfer_syntaxes_give_equal_volumes(syntax: UID) -> None:
    stored = ramp((3, 32, 32)) - 300
    members = to_members(build_slices(CtSeriesSpec(stored=stored)), syntax)
    assert np.array_equal(_read(members).hu, stored)


def test_a_file_without_file_meta_information_is_decoded() -> None:
    members = [
        Member(m.position, m.content[m.content.index(b"\x08\x00\x08\x00CS") :])
        for m in ct_members()
    ]
    assert np.array_equal(_read(members).hu, ramp())


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_hu_is_stored_value_times_slope_plus_intercept(dtype: type[np.integer]) -> None:
    stored = (ramp((3, 4, 5)) % 200).astype(dtype)
    bits = 8 * np.dtype(dtype).itemsize
    spec = CtSeriesSpec(stored=stored, slope=2, intercept=-1024, bits_stored=bits)
    assert np.array_equal(_volume(spec).hu, 2 * stored.astype(int) - 1024)


def test_each_slice_has_its_own_rescaling() -> None:
    def change(slices: list[Dataset]) -> None:
        for number, ds in enumerate(slices):
            ds.RescaleIntercept = str(-10 * number)

    expected = ramp() - 10 * np.arange(4)[:, None, None]
    assert np.array_equal(_volume(change=change).hu, expected)


def test_fractions_of_hu_are_kept_as_float32() -> None:
    hu = _volume(CtSeriesSpec(slope=0.5, intercept=-0.25)).hu
    assert hu.dtype == np.float32
    assert np.array_equal(hu, ramp() / 2 - 0.25)


def test_hu_beyond_int16_are_kept_as_float32() -> None:
    stored = ramp().astype(np.uint16)
    stored[3, 4, 5] = 65535
    hu = _volume(CtSeriesSpec(stored=stored, intercept=-1024)).hu
    assert hu.dtype == np.float32
    assert hu[3, 4, 5] == 65535 - 1024


def test_bits_above_bits_stored_are_ignored() -> None:
    stored = ramp().astype(np.uint16)
    spec = CtSeriesSpec(stored=stored | 0xF000, bits_stored=12)
    assert np.array_equal(_volume(spec).hu, stored)


def test_12_bit_signed_values_keep_their_sign() -> None:
    stored = ramp() - 300
    spec = CtSeriesSpec(stored=np.asarray(stored & 0x0FFF, np.int16), bits_stored=12)
    assert np.array_equal(_volume(spec).hu, stored)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(("padding", "vr"), [(-2000, "SS"), (63536, "US")])
def test_padding_becomes_air_whatever_its_sign_type(padding: int, vr: str, syntax: UID) -> None:
    stored = ramp()
    stored[:, 0, 0] = -2000
    # what -2000 is with its bytes exchanged
    stored[:, 0, 1] = 12536
    slices = build_slices(CtSeriesSpec(stored=stored, intercept=-24))
    for ds in slices:
        ds.add_new("PixelPaddingValue", vr, padding)
    hu = _read(to_members(slices, syntax)).hu
    assert (hu[:, 0, 1] == 12536 - 24).all()
    assert (hu[:, 0, 0] == AIR_HU).all()
    assert np.array_equal(hu[:, 1:], stored[:, 1:] - 24)


def test_a_padding_range_becomes_air() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.add_new("PixelPaddingValue", "SS", 3)
            ds.add_new("PixelPaddingRangeLimit", "SS", 1)

    hu = _volume(change=change).hu
    assert hu[0, 0].tolist() == [0, AIR_HU, AIR_HU, AIR_HU, 4, 5]


def test_gaps_are_filled_by_linear_interpolation() -> None:
    slices = build_slices(CtSeriesSpec(stored=ramp((7, 5, 6))))
    del slices[4]
    volume = read_volume(read_series(to_members(slices), resample_gaps=True))
    assert np.array_equal(volume.hu, ramp((7, 5, 6)))


def test_frames_of_an_enhanced_file_are_decoded_each_for_itself() -> None:
    stored = ramp((5, 32, 32))
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        members = to_members([enhanced_ct(build_slices(CtSeriesSpec(stored=stored)))], syntax)
        assert np.array_equal(_read(members).hu, stored)


def test_an_intercept_beyond_int16_gives_int16_where_the_sum_fits() -> None:
    stored = (ramp().astype(int) + 40000).astype(np.uint16)
    hu = _volume(CtSeriesSpec(stored=stored, intercept=-40000)).hu
    assert hu.dtype == np.int16
    assert np.array_equal(hu, ramp())


def test_monochrome1_is_not_inverted() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.PhotometricInterpretation = "MONOCHROME1"

    assert np.array_equal(_volume(change=change).hu, ramp())


@pytest.mark.parametrize("missing", [1, 30, 60])
def test_pixels_cut_off_are_refused_by_file(missing: int) -> None:
    members = ct_members()
    members[2] = Member(3, members[2].content[:-missing])
    caught = refusal(members)
    assert caught.code == "truncated_pixel_data"
    assert str(caught).startswith("file 3: ")


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.keyword
)
@pytest.mark.parametrize("share", [0.99, 0.9, 0.7])
def test_compressed_files_cut_off_are_refused(syntax: UID, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 4000, (3, 64, 64)).astype(np.int16)
    members = to_members(build_slices(CtSeriesSpec(stored=noise)), syntax)
    content = members[1].content
    members[1] = Member(2, content[: int(share * len(content))])
    caught = refusal(members)
    assert caught.code in ("truncated_pixel_data", "undecodable_pixel_data", "corrupt_dicom")
    assert "file 2" in str(caught)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.keyword
)
def test_compressed_pixels_that_decode_to_another_size_are_refused(syntax: UID) -> None:
    members = to_members(build_slices(CtSeriesSpec(stored=ramp((3, 128, 128)))), syntax)
    other = to_members(build_slices(CtSeriesSpec(stored=ramp((3, 64, 128)))), syntax)
    rows = (b"\x28\x00\x10\x00US\x02\x00\x40\x00", b"\x28\x00\x10\x00US\x02\x00\x80\x00")
    for member in other:
        assert rows[0] in member.content
    lying = [Member(m.position, m.content.replace(*rows)) for m in other]
    assert refusal([lying[0], *members[1:]]).code == "undecodable_pixel_data"


def test_an_unknown_transfer_syntax_is_refused() -> None:
    ds = build_slices(CtSeriesSpec())[0]
    content = encode(ds).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
    caught = refusal([Member(1, content), *ct_members()[1:]])
    assert caught.code == "undecodable_pixel_data"


def test_a_panic_of_a_decoder_is_a_refusal_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As pylibjpeg-rle's Rust code raises it."""

    def panic(*_: object, **__: object) -> None:
        raise PanicException

    monkeypatch.setattr("service.pipeline.volume.get_decoder", panic)
    assert refusal(ct_members()).code == "undecodable_pixel_data"


def test_no_pixels_at_all_are_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        del slices[3].PixelData

    assert refusal(ct_members(change=change)).code == "truncated_pixel_data"


@pytest.mark.parametrize(
    ("keyword", "value"), [("HighBit", 14), ("BitsStored", 20), ("BitsAllocated", 13)]
)
def test_impossible_bit_depths_are_refused(keyword: str, value: int) -> None:
    def change(slices: list[Dataset]) -> None:
        setattr(slices[0], keyword, value)

    caught = refusal(ct_members(change=change))
    assert caught.code in ("invalid_tag", "undecodable_pixel_data")
