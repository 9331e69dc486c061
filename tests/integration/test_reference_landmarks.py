"""What is found of each annotated real femur, from its reference mask."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import VolumeGeometry
from service.domain.imaging import FemurMasks, FieldOfViewCuts
from service.pipeline.regions import divide
from tests.reference_data import DATA, needs_reference_data

pytestmark = needs_reference_data

HEAD_IN_VIEW = ("007", "011", "012", "015", "020", "021", "026", "029", "036")
TROCHANTERS_ONLY = ("001", "014", "023", "048", "050")
SHAFT_ONLY = ("004", "006", "009", "013", "016", "017", "022", "024", "027", "030", "033", "034")
"""By the notes and pictures of the annotations."""


def found(number: str) -> tuple[bool, bool]:
    """Whether head and lesser trochanter are found."""
    folder = DATA / "annotations" / f"STS_{number}"
    image = nib.load(folder / "periosteal.nii.gz")
    mask = np.asarray(image.dataobj).transpose(2, 1, 0) > 0
    # RAS to LPS
    grid = VolumeGeometry(mask.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    right = json.loads((folder / "notes.json").read_text())["side"][0].upper() == "R"
    side = FemurSide.RIGHT if right else FemurSide.LEFT
    masks = FemurMasks(side, mask, np.zeros_like(mask), grid)
    geometry = divide(masks, FieldOfViewCuts()).geometry
    landmarks = (geometry.head_centre_lps_mm, geometry.lesser_trochanter_lps_mm)
    return landmarks[0] is not None, landmarks[1] is not None


@pytest.mark.parametrize("number", HEAD_IN_VIEW)
def test_a_head_in_view_is_found_and_the_lesser_trochanter_with_it(number: str) -> None:
    assert found(number) == (True, True)


@pytest.mark.parametrize("number", TROCHANTERS_ONLY)
def test_trochanters_without_a_head_are_found(number: str) -> None:
    assert found(number) == (False, True)


@pytest.mark.parametrize("number", SHAFT_ONLY)
def test_a_shaft_alone_shows_no_proximal_femur(number: str) -> None:
    assert found(number) == (False, False)
