"""The API on fakes, spoken to in process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from service.api.app import create_app
from tests.builders.jobs import Service

with warnings.catch_warnings():  # Starlette asks for another httpx than the one we ship
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def app(service: Service) -> FastAPI:
    return create_app(service.api())


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
