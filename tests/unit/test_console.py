"""What a terminal and a pipe are shown."""

import io

import pytest
from rich.console import Console

from service.console import cells, show_checks, show_report, stage_progress
from service.doctor import Check
from service.domain.findings import Compartments, FemurSide
from service.domain.jobs import Stage
from tests.builders.analyses import FLAG, analysis, axial_geometry


@pytest.fixture
def pipe() -> Console:
    return Console(file=io.StringIO(), width=120)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_region_that_is_not_bounded_is_a_dash_never_zero() -> None:
    assert cells(None) == ("-", "-", "-")
    assert cells(Compartments(integral=1.004, cortical=0.25, trabecular=0.754)) == (
        "1.00",
        "0.25",
        "0.75",
    )


def test_a_compartment_that_is_unknown_is_a_dash() -> None:
    assert cells(Compartments(integral=1.0, cortical=None, trabecular=None)) == ("1.00", "-", "-")


def test_the_report_shows_every_side_region_and_the_notice(pipe: Console) -> None:
    show_report(pipe, analysis(axial_geometry(), FemurSide.LEFT, FemurSide.RIGHT).report)

    shown = text_of(pipe)
    assert all(shown.count(region) == 2 for region in (" head", " combination", " total"))
    assert "not validated for clinical use" in shown


def test_flags_are_shown_with_their_side(pipe: Console) -> None:
    report = analysis(axial_geometry()).report
    flagged = report.femurs[0].model_copy(update={"flags": (FLAG,)})

    show_report(pipe, report.model_copy(update={"femurs": (flagged,)}))

    assert "left: warning: TRUNCATED_DISTAL: the shaft is cut" in text_of(pipe)


def test_a_pipe_gets_a_line_per_stage_and_tenth(pipe: Console) -> None:
    with stage_progress(pipe) as show:
        show(Stage.READ, 0, 0)
        for done in (0, 1, 19, 20, 40):
            show(Stage.PERIOSTEAL, done, 40)

    assert text_of(pipe).splitlines() == [
        "read",
        "periosteal: 0 of 40 windows",
        "periosteal: 19 of 40 windows",
        "periosteal: 20 of 40 windows",
        "periosteal: 40 of 40 windows",
    ]


def test_a_terminal_gets_a_bar() -> None:
    terminal = Console(file=io.StringIO(), width=100, force_terminal=True)

    with stage_progress(terminal) as show:
        show(Stage.PERIOSTEAL, 5, 10)

    assert "5/10" in text_of(terminal)
    assert "periosteal" in text_of(terminal)


@pytest.mark.parametrize(("passed", "verdict"), [(True, "can work here"), (False, "see memory")])
def test_checks_end_with_a_verdict(pipe: Console, passed: bool, verdict: str) -> None:
    assert show_checks(pipe, [Check("memory", passed, "1 GiB free")]) is passed

    assert verdict in text_of(pipe).splitlines()[-1]
