import ast
import re
from pathlib import Path

import service.errors
from service.errors import InputError

ROOT = Path(__file__).parents[2]
TABLE_ROW = re.compile(r"^\| `([a-z0-9_]+)` \| .+ \| .+ \|$", re.MULTILINE)
INPUT_ERRORS = {
    name: kind
    for name, kind in vars(service.errors).items()
    if isinstance(kind, type) and issubclass(kind, InputError)
}


def _raised_codes() -> set[str]:
    """Every ``code="..."`` given to an InputError in the service, and the classes' own codes."""
    codes = {kind.code for kind in INPUT_ERRORS.values()}
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in INPUT_ERRORS:
                codes |= {
                    keyword.value.value
                    for keyword in node.keywords
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
                }
    return codes


def test_every_input_error_is_documented_once_and_no_other() -> None:
    documented = TABLE_ROW.findall((ROOT / "docs/errors.md").read_text())
    assert len(documented) == len(set(documented))
    assert set(documented) == _raised_codes()


def test_codes_are_snake_case() -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for code in _raised_codes())


def test_an_error_carries_its_own_code_or_that_of_its_class() -> None:
    assert InputError("sentence").code == "unusable_input"
    assert InputError("sentence", code="mine").code == "mine"
    assert str(InputError("sentence", code="mine")) == InputError("sentence").detail == "sentence"
