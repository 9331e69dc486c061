"""The description of the API, and what importing the API loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from fastapi.testclient import TestClient

from service.api.openapi import openapi_yaml

ROOT = Path(__file__).parents[3]


def test_openapi_yaml_is_what_the_code_says() -> None:
    written = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
    assert written == openapi_yaml(), "run `make openapi`"


def test_importing_the_api_loads_nothing_heavy() -> None:
    script = (
        "import sys, service.api.app, service.bootstrap\n"
        "heavy = {'numpy', 'pydicom', 'onnxruntime', 'scipy', 'skimage', 'nibabel', 'highdicom'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_page_of_docs_needs_no_other_host(client: TestClient) -> None:
    page = client.get("/docs").text
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any(address.endswith(".js") for address in needed)
    for address in needed:
        assert address.startswith("/")
        assert client.get(address).status_code == 200
