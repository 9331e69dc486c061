"""What routes are given: the services, built by bootstrap and kept on the app."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from service.domain.model_contract import ModelFile
from service.domain.ports import JobStore, ObjectStore, TaskQueue


@dataclass(frozen=True)
class ApiLimits:
    """What is refused.

    Attributes:
        max_upload_bytes: larger uploads.
        max_waiting_jobs: uploads while this many jobs are unfinished.
    """

    max_upload_bytes: int
    max_waiting_jobs: int


@dataclass(frozen=True)
class ApiServices:
    """Everything the API works with.

    ``api_keys`` empty means no authentication; ``is_local`` that only this machine is answered.
    """

    jobs: JobStore
    objects: ObjectStore
    queue: TaskQueue
    models: tuple[ModelFile, ...]
    limits: ApiLimits
    api_keys: tuple[str, ...]
    is_local: bool
    clock: Callable[[], datetime]


async def services_of(request: Request) -> ApiServices:
    """The services of the app that handles the request (async: no trip through a thread)."""
    return cast(ApiServices, request.app.state.services)


Services = Annotated[ApiServices, Depends(services_of)]


async def stopping_of(request: Request) -> threading.Event:
    """Set when the server is told to stop: who waits for a change is then answered at once."""
    return cast(threading.Event, request.app.state.stopping)


Stopping = Annotated[threading.Event, Depends(stopping_of)]
