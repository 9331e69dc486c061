"""The survey writes what ``docs/phantoms.md`` shows; made-up measures, nothing is rendered."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from model_export.cases import TrainingCase
from model_export.phantoms import survey
from model_export.phantoms.measures import Measures
from model_export.phantoms.protocol import draw_protocol
from model_export.phantoms.subject import draw_subject
from model_export.phantoms.survey import ROWS, SHOWN, main, montage, panel_title, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "phantoms.md"


def _measures(age: float, worn: bool, gap_mm: float) -> Measures:
    """All other lengths are 1 mm, all densities 100 HU."""
    lengths, densities = [1.0] * 7, [100.0] * 8
    return Measures(age, worn, gap_mm, *lengths, *densities)


def _phantom_of(seed: int) -> SimpleNamespace:
    return SimpleNamespace(subject=draw_subject(seed), sides=(None, None))


def _cells(text: str, title: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ages_stand_in_columns_and_healthy_and_worn_joints_in_rows():
    text = table(
        [
            _measures(30, False, 4.0),
            _measures(60, False, 3.0),
            _measures(69, True, 1.0),
            _measures(50, True, 2.0),
            _measures(70, True, 1.5),
        ]
    )
    assert _cells(text, "measure")[1:4] == [
        "under 50 years (n = 1)",
        "50 to 70 (n = 3)",
        "from 70 on (n = 1)",
    ]
    healthy = _cells(text, "joint gap in the roof, healthy, mm")
    worn = _cells(text, "joint gap in the roof, worn, mm")
    assert healthy[1:4] == ["4.0 (4.0 to 4.0)", "3.0 (3.0 to 3.0; n = 1)", "-"]
    assert worn[1:4] == ["-", "1.5 (1.0 to 2.0; n = 2)", "1.5 (1.5 to 1.5)"]


def test_a_survey_of_nothing_has_all_rows_and_no_numbers():
    assert table([]).count("| - | - | - |") == len(ROWS)


def test_the_published_table_has_the_rows_and_sources_that_the_tool_writes():
    published = DOCUMENT.read_text()
    for row in ROWS:
        cells = _cells(published, row.title)
        assert cells[4:] == [row.published, row.source]


def test_a_panel_is_titled_with_seed_age_slice_distance_and_joint(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(survey, "draw_phantom", _phantom_of)
    for seed in range(5200, 5220):
        subject = draw_subject(seed)
        joint = "worn" if subject.joints[1].osteophytes else "healthy"
        distance = draw_protocol(seed, 1).slice_mm
        assert panel_title(seed, 1) == f"{seed}: {subject.age:.0f} y, {distance} mm, {joint}"


def test_the_montage_shows_the_grey_levels_of_its_window(
    make_case: Callable[..., TrainingCase], tmp_path: Path
):
    montage([make_case()], ["tube"], tmp_path / "one.png")
    shown = np.asarray(Image.open(tmp_path / "one.png").convert("L"))
    # the tube's wall lies above the window, water at (0 + 180) / 1030 of it
    assert (shown == 255).mean() > 0.005
    assert (np.abs(shown.astype(int) - 255 * 180 // 1030) <= 1).mean() > 0.01


def test_real_cases_are_drawn_after_the_phantoms(
    make_case: Callable[..., TrainingCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn: list[str] = []
    monkeypatch.setattr(survey, "draw_phantom", _phantom_of)
    monkeypatch.setattr(survey, "measure", lambda *_: _measures(60, False, 4.0))
    monkeypatch.setattr(survey, "anatomical_case", lambda *_: make_case())
    monkeypatch.setattr(survey, "montage", lambda cases, titles, path: drawn.extend(titles))
    real = make_case("STS").save(tmp_path)
    main(tmp_path / "out", count=SHOWN + 1, first_seed=5200, beside=[real])
    assert len(drawn) == SHOWN + 1
    assert drawn[0].startswith("5200: ")
    assert drawn[-1] == "STS: real"
    text = (tmp_path / "out" / "survey.md").read_text()
    assert text.startswith(table([_measures(60, False, 4.0)] * (SHOWN + 1)))
    assert "cases per minute and core" in text
