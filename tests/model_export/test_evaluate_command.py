from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from model_export import evaluate_command
from model_export.cases import CaseError, TrainingCase
from model_export.checkpoint import RunError
from model_export.evaluate_command import evaluate
from model_export.evaluation import Cascade, FoundFemur
from service.domain.model_contract import ModelContract
from service.errors import ModelError
from service.pipeline.cascade import Networks
from tests.builders.evaluation_cases import block_case
from tests.builders.threshold_networks import ThresholdNetwork, write_threshold_networks


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_threshold_networks(tmp_path / "weights")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        block_case(name).save(tmp_path / "cases")
    return tmp_path / "cases"


def test_one_command_writes_every_table_and_figure(
    cases: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate(cases, out, weights / "periosteal.onnx", weights / "endosteal.onnx")
    assert sorted(path.name for path in out.iterdir()) == [
        "cases.csv",
        "dice_fits.json",
        "doubt.png",
        "evaluation.md",
        "figure_3_periosteal_contours.png",
        "figure_4_endosteal_contours.png",
        "figure_5_surfaces.png",
        "figure_6_distance_errors.png",
        "figure_8_relative_errors.png",
        "masks",
        "scores",
        "table_1.csv",
        "table_2.csv",
    ]
    report = (out / "evaluation.md").read_text()
    assert "# Evaluation on 2 femurs" in report
    assert "stand beside ours, not against them" in report
    assert "| Periosteal | 1.0000±0.0000 | 0.0000±0.0000 |" in report
    assert (out / "cases.csv").read_text().count("\n") == 3


def test_a_case_is_segmented_once_and_again_only_by_another_cascade(
    cases: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmented: list[str] = []
    segment = Cascade.segment

    def counted(cascade: Cascade, case: TrainingCase, told: Callable[[], None]) -> FoundFemur:
        segmented.append(case.name)
        return segment(cascade, case, told)

    monkeypatch.setattr(Cascade, "segment", counted)
    monkeypatch.setattr(evaluate_command, "_draw_figures", lambda *_: None)
    networks = (weights / "periosteal.onnx", weights / "endosteal.onnx")
    out = tmp_path / "out"
    evaluate(cases, out, *networks)
    first = (out / "cases.csv").read_text()
    assert segmented == ["one", "two"]
    (out / "scores" / "two.json").unlink()  # as if stopped before it
    evaluate(cases, out, *networks)
    assert segmented == ["one", "two", "two"]
    assert [row.split(",")[:2] for row in first.splitlines()] == [
        row.split(",")[:2] for row in (out / "cases.csv").read_text().splitlines()
    ]
    evaluate(cases, out, *networks, stride_z=16)
    assert segmented[3:] == ["one", "two"]


def test_masks_and_score_of_a_case_are_of_the_same_cascade_also_after_a_kill(
    cases: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(file: IO[bytes], **_: object) -> None:
        file.write(b"PK\x03\x04")
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_command, "_draw_figures", lambda *_: None)
    networks = (weights / "periosteal.onnx", weights / "endosteal.onnx")
    out = tmp_path / "out"
    evaluate(cases, out, *networks)
    masks = (out / "masks" / "one.npz").read_bytes()
    monkeypatch.setattr(np, "savez_compressed", torn)
    with pytest.raises(KeyboardInterrupt):
        evaluate(cases, out, *networks, stride_z=16)
    assert (out / "masks" / "one.npz").read_bytes() == masks
    assert not (out / "scores" / "one.json").exists()


def test_a_score_is_of_the_runtime_that_found_the_masks(cases: Path) -> None:
    contracts = (ModelContract(role="periosteal"), ModelContract(role="endosteal"))
    first, second = (ThresholdNetwork(contract, 300.0, 4000.0) for contract in contracts)
    keys = {
        evaluate_command._key(cases / "one.npz", Cascade(Networks(*networks)))
        for networks in (
            (first, second),
            (replace(first, provider="other"), second),
            (first, replace(second, provider="other")),
        )
    }
    assert len(keys) == 3


def test_a_folder_without_cases_is_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no case"):
        evaluate(
            tmp_path / "empty",
            tmp_path / "out",
            weights / "periosteal.onnx",
            weights / "endosteal.onnx",
        )


def test_a_network_of_the_other_surface_is_refused(
    cases: Path, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="finds the endosteal surface"):
        evaluate(cases, tmp_path, weights / "endosteal.onnx", weights / "endosteal.onnx")


def test_the_cropped_input_needs_a_network_trained_on_it(
    cases: Path, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="masked CT"):
        evaluate(
            cases,
            tmp_path,
            weights / "periosteal.onnx",
            weights / "endosteal.onnx",
            endosteal_input="cropped",
        )
