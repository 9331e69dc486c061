"""The import contracts forbid what their names say: every module that a name does not allow."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
}
MODULES = {
    f"service.{path.stem}"
    for path in (ROOT / "service").iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
} - {"service.__init__"}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("domain imports nothing of ours but errors", "domain errors"),
        (
            "pipeline and artifacts import domain and errors only",
            "pipeline artifacts domain errors",
        ),
        ("adapters import domain and errors only", "adapters domain errors"),
        (
            "training imports domain, pipeline, artifacts, sample, errors "
            "and the ONNX predictor only",
            "domain pipeline artifacts sample errors",
        ),
    ],
)
def test_a_contract_forbids_every_module_that_its_name_does_not_allow(
    name: str, allowed: str
) -> None:
    forbidden = {module for module in CONTRACTS[name]["forbidden_modules"] if "." in module}
    assert forbidden == MODULES - {f"service.{module}" for module in allowed.split()}
