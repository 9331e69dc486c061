import json
from dataclasses import replace
from pathlib import Path

import pytest

from model_export.case_sets import CaseSets
from model_export.checkpoint import RunError, load_checkpoint
from model_export.config import TrainingConfig
from model_export.onnx_export import publish
from model_export.schedule import Budget
from model_export.training import RunPlan, Trainer


def test_a_checkpoint_of_another_version_is_refused_as_such(
    tmp_path: Path, cases: Path, tiny: TrainingConfig
) -> None:
    sets = CaseSets.of_folder(cases)
    plan = RunPlan(sets, tmp_path / "run", Budget(steps=1))
    list(Trainer(tiny, plan).train(lambda: False))
    checkpoint = load_checkpoint(plan.run)
    configuration = {**json.loads(checkpoint.configuration), "gone": 1}
    replace(checkpoint, configuration=json.dumps(configuration)).save(plan.run / "checkpoint.pt")
    initial = RunPlan(sets, tmp_path / "next", Budget(steps=1), plan.run)
    for use in (
        lambda: Trainer(tiny, plan),
        lambda: Trainer(tiny, initial),
        lambda: publish(plan.run, tmp_path / "x.onnx"),
    ):
        with pytest.raises(RunError, match=r"written by another version of femurct \(gone: "):
            use()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.pt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"junk\.pt is no checkpoint of `train`, or torn"):
        load_checkpoint(path)
