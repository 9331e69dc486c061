import pytest
from pydicom.dataset import Dataset

from service.pipeline.series import read_series
from tests.builders.ct_series import ROOT, CtSeriesSpec, build_slices, ramp, to_members


def series(uid: str, *, slices: int = 20, spacing_mm: float = 5.0, **tags: str) -> list[Dataset]:
    """100 mm of slices unless told otherwise, with further tags."""
    spec = CtSeriesSpec(
        stored=ramp((slices, 2, 2)), spacing_zyx_mm=(spacing_mm, 1.0, 1.0), series_uid=ROOT + uid
    )
    built = build_slices(spec)
    for ds in built:
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
    return built


def test_a_series_that_makes_no_volume_stands_last_whatever_it_promises() -> None:
    gap = series("1", BodyPartExamined="HIP")
    del gap[7]
    assert ranked(gap, series("2", BodyPartExamined="CHEST")) == [ROOT + "2", ROOT + "1"]


def ranked(*several: list[Dataset]) -> list[str]:
    """UIDs, best first."""
    members = to_members([ds for one in several for ds in one])
    return [c.series_instance_uid for c in read_series(members).candidates]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"BodyPartExamined": "HIP"}, {"BodyPartExamined": "ABDOMEN"}),
        ({"ProtocolName": "Femoral neck"}, {}),
        ({"SeriesDescription": "Becken axial"}, {"BodyPartExamined": "CHEST"}),
        ({}, {"BodyPartExamined": "KNEE"}),
        ({"BodyPartExamined": "CHEST", "SeriesDescription": "Thorax/Abd/Pelvis"}, {}),
        ({"SeriesDescription": "hip 1"}, {"SeriesDescription": "friendship"}),
        ({"ConvolutionKernel": "STANDARD"}, {"ConvolutionKernel": "BONEPLUS"}),
        ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
        ({"ConvolutionKernel": "Br40d\\3"}, {"ConvolutionKernel": "Br64d\\3"}),
        ({"ConvolutionKernel": "B"}, {"ConvolutionKernel": "YC"}),
        ({"ConvolutionKernel": "FC08"}, {"ConvolutionKernel": "FC30"}),
        ({"ConvolutionKernel": "SOFT"}, {}),
        ({}, {"ConvolutionKernel": "LUNG"}),
    ],
)
def test_the_header_that_promises_more_comes_first(
    better: dict[str, str], worse: dict[str, str]
) -> None:
    assert ranked(series("2", **worse), series("3", **better)) == [ROOT + "3", ROOT + "2"]


def test_the_hip_outweighs_thin_slices() -> None:
    thin = series("2", slices=26, spacing_mm=4.0)
    assert ranked(thin, series("3", BodyPartExamined="PELVIS"))[0] == ROOT + "3"


def test_a_femurs_length_outweighs_thin_slices() -> None:
    assert ranked(series("2", slices=9, spacing_mm=1.0), series("3"))[0] == ROOT + "3"


def test_a_class_of_spacing_outweighs_the_kernel_a_little_less_does_not() -> None:
    sharp = series("2", slices=35, spacing_mm=2.9, ConvolutionKernel="BONE")
    thick = series("3", slices=33, spacing_mm=3.1, ConvolutionKernel="SOFT")
    soft = series("4", slices=34, spacing_mm=3.0, ConvolutionKernel="SOFT")
    assert ranked(thick, sharp, soft) == [ROOT + "4", ROOT + "2", ROOT + "3"]


def test_what_nothing_tells_apart_is_ordered_by_uid() -> None:
    assert ranked(series("3"), series("2")) == [ROOT + "2", ROOT + "3"]


def test_the_uid_that_is_asked_for_outweighs_all() -> None:
    members = to_members([*series("2", BodyPartExamined="HIP"), *series("3")])
    chosen = read_series(members, series_instance_uid=ROOT + "3")
    assert chosen.series_instance_uid == ROOT + "3"
