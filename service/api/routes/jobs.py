"""POST, GET and DELETE of jobs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.api.auth import authenticate
from service.api.dependencies import ApiServices, Services, Stopping
from service.api.problems import Problem
from service.api.schemas import JobList, JobQuery, JobView, job_view
from service.api.submission import cancel_or_delete, check_capacity, submit
from service.api.uploads import check_headers, receive_body
from service.domain.job_recovery import find_job
from service.domain.jobs import JobState
from service.errors import FemurctError

POLL_INTERVAL_S = 0.25
"""Between two looks at a job somebody waits for."""

RETRY_AFTER_S = 2
"""When a client that does not wait may ask again."""

LONGEST_WAIT_S = 60
"""Proxies often close a connection that is silent for longer."""

KEEP_ALIVE_S = 15.0
"""A comment is sent this often to a client that waits for events."""

_PROBLEM = {"content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(authenticate)])


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the problems a route answers with."""
    return {status: {"description": "problem details", **_PROBLEM} for status in statuses}


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    responses={
        200: {"model": JobView, "description": "the same request, or the same input, came before"},
        **problems(401, 403, 408, 409, 413, 415, 422, 503, 507),
    },
    openapi_extra=_BODY,
)
async def create_job(
    request: Request,
    services: Services,
    query: Annotated[JobQuery, Query()],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JSONResponse:
    """Send a zip of a hip CT series."""
    max_bytes = services.limits.max_upload_bytes
    check_headers(request, max_bytes)
    await run_in_threadpool(check_capacity, services)
    options = query.options()
    receiving = services.objects.receive()
    upload = await run_in_threadpool(receiving.__enter__)
    try:
        await receive_body(request, upload, max_bytes)
        job, is_new = await run_in_threadpool(submit, upload, options, idempotency_key, services)
    finally:
        await asyncio.shield(run_in_threadpool(receiving.__exit__, None, None, None))
    view = await run_in_threadpool(_view, job.id, services)
    headers = {"Location": view.links.self, "Retry-After": str(RETRY_AFTER_S)}
    return JSONResponse(view.model_dump(mode="json"), 202 if is_new else 200, headers=headers)


@router.get("", response_model=JobList, responses=problems(401, 403, 422, 503))
def list_jobs(services: Services, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> JobList:
    """The newest jobs, newest first."""
    unfinished, now = services.jobs.unfinished(), services.clock()
    return JobList(jobs=tuple(job_view(j, now, unfinished) for j in services.jobs.latest(limit)))


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses={304: {"description": "unchanged"}, **problems(401, 403, 404, 422, 503)},
)
async def get_job(
    job_id: str,
    services: Services,
    stopping: Stopping,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT_S, description="seconds to wait for a change")
    ] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A job; with ``wait``, answered when it differs from If-None-Match, or has ended."""
    until = time.monotonic() + wait
    view = await run_in_threadpool(_view, job_id, services)
    told = _entity_tags(if_none_match)
    known = told or {view.etag}
    while view.etag in known and not view.state.is_final and time.monotonic() < until:
        if stopping.is_set():
            break
        await asyncio.sleep(POLL_INTERVAL_S)
        view = await run_in_threadpool(_view, job_id, services)
    headers = {"ETag": view.etag, "Cache-Control": "no-cache"}
    if view.etag in told:
        return Response(status_code=304, headers=headers)
    if not view.state.is_final:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return JSONResponse(view.model_dump(mode="json"), headers=headers)


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "events `job`, data as GET"},
        **problems(401, 403, 404, 503),
    },
)
async def job_events(job_id: str, services: Services, stopping: Stopping) -> StreamingResponse:
    """Server-sent events: the job at once and after each change, until it has ended."""
    view = await run_in_threadpool(_view, job_id, services)
    return StreamingResponse(
        _events(view, services, stopping),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


@router.delete(
    "/{job_id}",
    response_model=JobView,
    responses={204: {"description": "removed with all its files"}, **problems(401, 403, 404, 503)},
)
def delete_job(job_id: str, services: Services) -> Response:
    """Cancel a job that has not ended, or remove one that has, with all its files."""
    cancelled = cancel_or_delete(job_id, services)
    if cancelled is None:
        return Response(status_code=204)
    return JSONResponse(job_view(cancelled, services.clock()).model_dump(mode="json"))


def _entity_tags(if_none_match: str | None) -> frozenset[str]:
    """Compared weakly (RFC 9110, 13.1.2): a proxy that compresses makes a tag weak."""
    tags = (if_none_match or "").split(",")
    return frozenset(tag.strip().removeprefix("W/") for tag in tags if tag.strip())


def _view(job_id: str, services: ApiServices) -> JobView:
    job = find_job(job_id, services.jobs, services.objects)
    is_waiting = job.state in (JobState.ACCEPTED, JobState.QUEUED)
    unfinished = services.jobs.unfinished() if is_waiting else ()
    return job_view(job, services.clock(), unfinished)


async def _events(
    view: JobView, services: ApiServices, stopping: threading.Event
) -> AsyncIterator[str]:
    yield f"event: job\ndata: {view.model_dump_json()}\n\n"
    etag, silent_since = view.etag, time.monotonic()
    while not (view.state.is_final or stopping.is_set()):
        await asyncio.sleep(POLL_INTERVAL_S)
        try:
            view = await run_in_threadpool(_view, view.id, services)
        except FemurctError:  # deleted meanwhile, or the store is away: the client asks again
            return
        if view.etag != etag:
            etag, silent_since = view.etag, time.monotonic()
            yield f"event: job\ndata: {view.model_dump_json()}\n\n"
        elif time.monotonic() - silent_since > KEEP_ALIVE_S:
            silent_since = time.monotonic()
            yield ": still here\n\n"
