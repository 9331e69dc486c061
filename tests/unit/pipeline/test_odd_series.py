"""Every odd series of the corpus comes out right or is refused for the right reason."""

import numpy as np
import pytest

from service.errors import SeriesError
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.odd_case import Rule
from tests.builders.odd_series import CASES, build_case
from tests.builders.voxel_places import misplaced_voxels


def test_the_corpus_has_at_least_sixty_cases() -> None:
    names = [(rule.name, orientation) for rule, orientation in CASES]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize(
    ("rule", "orientation"), CASES, ids=[f"{rule.name}, {name}" for rule, name in CASES]
)
def test_an_odd_series_comes_out_right_or_is_refused(rule: Rule, orientation: str) -> None:
    case = build_case(rule, orientation)

    def read() -> tuple[np.ndarray, np.ndarray]:
        series = read_series(
            case.built.members,
            resample_gaps=case.resample_gaps,
            expected_instances=case.expected_instances,
        )
        volume = read_volume(series)
        return volume.hu, volume.geometry.affine_lps

    if case.code is not None:
        with pytest.raises(SeriesError) as caught:
            read()
        assert caught.value.code == case.code
        return
    hu, affine = read()
    # the first truth is the one that the ranking must choose
    assert misplaced_voxels(case.built.truths[0], hu, affine, case.tolerance_mm) == 0
