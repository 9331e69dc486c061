import pytest
from pydicom.dataset import Dataset

from service.pipeline.series import read_series
from tests.builders.ct_series import CtSeriesSpec, build_slices, to_members
from tests.builders.enhanced_ct import enhanced_ct
from tests.builders.refusals import refusal


def frames() -> Dataset:
    return enhanced_ct(build_slices(CtSeriesSpec()))


def test_frames_lie_where_the_same_slices_in_files_of_their_own_lie() -> None:
    series = read_series(to_members([frames()]))
    single = read_series(to_members(build_slices(CtSeriesSpec())))
    assert series.geometry.affine_lps.tolist() == single.geometry.affine_lps.tolist()
    assert [s.frame for s in series.slices] == [0, 1, 2, 3]
    assert series.set_aside == 0


def test_a_frames_own_group_goes_before_the_shared_one() -> None:
    ds = frames()
    own = Dataset()
    own.RescaleSlope, own.RescaleIntercept = "2", "-7"
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.PixelValueTransformationSequence = [own]
    del ds.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence
    slopes = [s.rescale_slope for s in read_series(to_members([ds])).slices]
    assert slopes == [1, 2, 1, 1]


def test_an_attribute_of_the_file_never_stands_in_for_a_frames() -> None:
    ds = frames()
    ds.RescaleSlope = "1"
    del ds.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence[0].RescaleSlope
    caught = refusal(to_members([ds]))
    assert caught.code == "missing_tag"
    assert "(0028,1053) Rescale Slope" in str(caught)


@pytest.mark.parametrize("keyword", ["PerFrameFunctionalGroupsSequence", "NumberOfFrames"])
def test_what_makes_no_frames_is_refused(keyword: str) -> None:
    ds = frames()
    delattr(ds, keyword)
    assert refusal(to_members([ds])).code == "missing_tag"


def test_derived_frames_are_set_aside() -> None:
    ds = frames()
    ds.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "MIP"]
    assert refusal(to_members([ds])).code == "no_ct_series"
