from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.evaluation import Cascade, FemurScore, SurfaceScore, evaluate_case
from model_export.figures import (
    ShownFemur,
    draw_contours,
    draw_relative_errors,
    femurs_to_show,
)
from model_export.volumes import TARGETS
from tests.builders.evaluation_cases import PERFECT, block_case


@pytest.fixture(scope="module")
def block() -> tuple[ShownFemur, FemurScore]:
    case = block_case()
    found, scored = evaluate_case(case, Cascade(PERFECT), lambda: None)
    return ShownFemur(case, found), scored


def scored_as(name: str, dice: float | None) -> FemurScore:
    volumes = (1.0,) * len(TARGETS)
    surface = None if dice is None else SurfaceScore(dice, 0.0, 1.0, 1.0, 0.0, 1.0)
    return FemurScore(name, "phantom", surface, None, volumes, volumes, 1.0)


def test_the_median_and_the_lowest_femur_are_shown() -> None:
    scores = [scored_as(n, d) for n, d in zip("abcde", (0.9, 0.5, 0.8, 0.0, None), strict=True)]
    assert femurs_to_show(scores) == ("c", "b")


def test_a_lone_femur_is_shown_once_and_none_not_at_all() -> None:
    assert femurs_to_show([scored_as("a", 0.9)]) == ("a",)
    assert femurs_to_show([scored_as("a", 0.0)]) == ()


@pytest.mark.parametrize("endosteal", [False, True])
def test_both_contours_are_drawn(
    block: tuple[ShownFemur, FemurScore], tmp_path: Path, endosteal: bool
) -> None:
    path = tmp_path / "contours.png"
    draw_contours((block[0],), path, endosteal=endosteal)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    # the masks are equal, so the network's green lies over the reference's yellow
    assert (np.abs(pixels - (0, 255, 0)).sum(axis=1) < 30).any()


def test_relative_errors_are_drawn(block: tuple[ShownFemur, FemurScore], tmp_path: Path) -> None:
    draw_relative_errors((block[1],), tmp_path / "errors.png")
    with Image.open(tmp_path / "errors.png") as image:
        assert image.width > 1000
