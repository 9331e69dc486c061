import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from service.domain.imaging import CtSlice, Member
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.ct_series import CtSeriesSpec, build_slices, ct_members, ramp, to_members
from tests.builders.enhanced_ct import enhanced_ct
from tests.builders.refusals import refusal

STORED = ramp((3, 32, 32))
SLICE_BYTES = 32 * 32 * 2


def members(syntax: UID) -> list[Member]:
    return to_members(build_slices(CtSeriesSpec(stored=STORED)), syntax)


def first_slice(syntax: UID) -> CtSlice:
    return read_series(members(syntax)).slices[0]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_bare_pixels_lie_where_they_are_said_to(syntax: UID) -> None:
    first = first_slice(syntax)
    assert first.pixels.transfer_syntax_uid == syntax
    assert first.pixels.length == SLICE_BYTES
    assert first.member.content[first.pixels.begin :] == STORED[0].tobytes()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_pixels_go_from_the_offset_table_to_the_sequences_end(syntax: UID) -> None:
    first = first_slice(syntax)
    assert first.pixels.length is not None
    value = first.member.content[first.pixels.begin :]
    assert value.startswith(b"\xfe\xff\x00\xe0")
    assert value[first.pixels.length :] == b"\xfe\xff\xdd\xe0" + bytes(4)


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_pixels_are_found_by_parsing_the_whole_file(syntax: UID) -> None:
    assert first_slice(syntax).pixels.length is None
    enhanced = to_members([enhanced_ct(build_slices(CtSeriesSpec()))])
    assert read_series(enhanced).slices[0].pixels.length is None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("trailing", [bytes(7), b"\xff" * 70, b"text" * 50])
def test_bytes_after_the_pixels_change_nothing(syntax: UID, trailing: bytes) -> None:
    whole = members(syntax)
    whole[1] = Member(2, whole[1].content + trailing)
    assert (read_volume(read_series(whole)).hu == STORED).all()


@pytest.mark.parametrize("missing", [8, 9, 100])
def test_compressed_pixels_without_their_end_count_as_none(missing: int) -> None:
    whole = members(RLELossless)
    whole[1] = Member(2, whole[1].content[:-missing])
    caught = refusal(whole)
    assert caught.code == "truncated_pixel_data"
    assert str(caught).startswith("file 2: 0 bytes of pixel data found, 1 needed")


@pytest.mark.parametrize("keyword", ["BitsStored", "HighBit", "PixelRepresentation"])
def test_a_missing_word_on_the_bits_is_refused_by_its_tag(keyword: str) -> None:
    def remove(slices: list[Dataset]) -> None:
        delattr(slices[1], keyword)

    caught = refusal(ct_members(change=remove))
    assert caught.code == "missing_tag"
    assert str(caught).startswith("file 2: tag (0028,01")


@pytest.mark.parametrize(("keyword", "value"), [("HighBit", 14), ("PixelRepresentation", 7)])
def test_an_impossible_word_on_the_bits_is_refused_by_its_tag(keyword: str, value: int) -> None:
    def change(slices: list[Dataset]) -> None:
        setattr(slices[1], keyword, value)

    assert refusal(ct_members(change=change)).code == "invalid_tag"
