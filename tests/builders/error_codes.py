"""Every error code the service can raise, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import service.errors
from service.errors import FemurctError

SERVICE = Path(service.errors.__file__).parent

TREE = {
    name: kind
    for name, kind in vars(service.errors).items()
    if isinstance(kind, type) and issubclass(kind, FemurctError)
}

WORKER_ONLY = frozenset({"worker_stopping", "lease_lost", "job_conflict"})
"""Raised and caught in the worker; nobody outside sees them."""


@cache
def known_codes() -> dict[str, frozenset[type[FemurctError]]]:
    """Each code, and the classes of the tree that it is raised with.

    A class defined elsewhere counts as its base; what ends a job (``JobFailure``) as FemurctError.
    """
    found: dict[str, set[type[FemurctError]]] = {}
    for path in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for code, kind in _codes_of(node):
                found.setdefault(code, set()).add(kind)
    return {code: frozenset(kinds) for code, kinds in found.items() if code not in WORKER_ONLY}


def _codes_of(node: ast.AST) -> Iterator[tuple[str, type[FemurctError]]]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", "")
        values = [word.value for word in node.keywords if word.arg == "code"]
    elif isinstance(node, ast.ClassDef):
        own = node.name in TREE
        name = node.name if own else next((getattr(base, "id", "") for base in node.bases), "")
        values = [
            line.value
            for line in node.body
            if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "code"
        ]
    else:
        return
    kind = FemurctError if name == "JobFailure" else TREE.get(name)
    for value in values:
        if kind is not None and isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value, kind
