"""What the doctor finds: one failed check stops no other, and says what to do."""

from pathlib import Path

import pytest

from service.doctor import examine
from service.settings import Settings
from tests.builders.threshold_networks import write_threshold_networks


@pytest.fixture(autouse=True)
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "FEMURCT_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_machine_that_has_everything_passes_with_the_provider_explained(tmp_path: Path) -> None:
    weights = write_threshold_networks(tmp_path / "weights")

    checks = {
        check.name: check
        for check in examine(
            Settings(data_dir=tmp_path / "data", weights_dir=weights, provider="cpu")
        )
    }

    assert checks["python"].passed
    assert checks["periosteal network"].passed
    assert checks["endosteal network"].passed
    assert checks["broker"].passed
    assert checks["provider"].found == "CPUExecutionProvider (FEMURCT_PROVIDER=cpu)"


def test_a_provider_that_was_passed_over_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "service.adapters.onnx_predictor._missing",
        lambda provider, contract: "" if provider.startswith("CPU") else "not here",
    )
    weights = write_threshold_networks(tmp_path / "weights")

    settings = Settings(data_dir=tmp_path / "data", weights_dir=weights)
    checks = {check.name: check for check in examine(settings)}

    assert checks["provider"].found == (
        "CPUExecutionProvider (FEMURCT_PROVIDER=auto); not CUDAExecutionProvider: not here; "
        "not OpenVINO int8: not here; not OpenVINO: not here"
    )


def test_what_is_missing_is_named_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(
        data_dir=tmp_path / "file" / "data",
        weights_dir=tmp_path,
        redis_url="redis://127.0.0.1:9/0",
    )

    checks = {check.name: check for check in examine(settings)}

    failed = {name for name, check in checks.items() if not check.passed}
    assert failed >= {"networks", "broker", "data folder"}
    assert "periosteal.onnx" in checks["networks"].found
    assert "FEMURCT_DATA_DIR" in checks["data folder"].found
    assert "memory" in checks


def test_memory_and_disk_must_hold_the_largest_upload_that_is_accepted(tmp_path: Path) -> None:
    gib = 1024**3
    settings = Settings(
        data_dir=tmp_path / "data",
        weights_dir=tmp_path,
        max_upload_bytes=3 * gib,
        max_unpacked_bytes=4 * gib,
    )

    checks = {check.name: check.found for check in examine(settings)}

    assert "(needed: 6.5;" in checks["memory"], "2.5 for the run, 4 unpacked"
    assert "(needed: 4.0)" in checks["data folder"], "1 for results, 3 for the upload"
