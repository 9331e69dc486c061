"""``openapi.yaml``, generated from the code: ``python -m service.api.openapi > openapi.yaml``."""

from __future__ import annotations

import sys

import yaml

from service.api.app import app_without_services


def openapi_yaml() -> str:
    """The API's description as YAML text."""
    description = app_without_services().openapi()
    return yaml.safe_dump(description, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(openapi_yaml())
