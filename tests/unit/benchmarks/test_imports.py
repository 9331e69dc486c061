"""Every benchmark can be imported, so that none is left behind by a change of what it calls."""

from importlib import import_module
from pathlib import Path

import pytest

from tests import benchmarks

NAMES = sorted(path.stem for path in Path(benchmarks.__path__[0]).glob("*.py"))
OURS = ("service", "model_export", "tests")


@pytest.mark.filterwarnings("ignore")  # of the packages that it compares with
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_imports_what_there_is(name: str) -> None:
    try:
        import_module(f"tests.benchmarks.{name}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise
        pytest.skip(f"{package} is not installed")
