"""Errors as RFC 9457 problem details; the one table from code to HTTP status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.errors import FemurctError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, HTTPStatus] = {
    "invalid_request": HTTPStatus.UNPROCESSABLE_ENTITY,
    "empty_body": HTTPStatus.UNPROCESSABLE_ENTITY,
    "malformed_multipart": HTTPStatus.UNPROCESSABLE_ENTITY,
    "one_file_expected": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "foreign_page": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "job_not_found": HTTPStatus.NOT_FOUND,
    "artifact_not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "upload_timeout": HTTPStatus.REQUEST_TIMEOUT,
    "idempotency_key_reused": HTTPStatus.CONFLICT,
    "job_state": HTTPStatus.CONFLICT,
    "result_not_ready": HTTPStatus.CONFLICT,
    "job_expired": HTTPStatus.GONE,
    "upload_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "too_many_jobs": HTTPStatus.SERVICE_UNAVAILABLE,
    "job_store_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "broker_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "storage_full": HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Every code the API answers with."""

RETRY_AFTER_S = 5
"""When a client may ask again after 503."""

_NO_ROUTE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class Problem(BaseModel):
    """Problem details (RFC 9457); ``code`` is stable, ``detail`` is a sentence for people."""

    type: str = Field(default="about:blank")
    title: str
    status: int
    code: str
    detail: str


def problem(code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for a code; one that is not in the table is an internal error."""
    status = STATUS.get(code)
    if status is None:
        code, detail, status = "internal_error", _INTERNAL, STATUS["internal_error"]
    body = Problem(title=status.phrase, status=status.value, code=code, detail=detail)
    extra = dict(headers or {})
    if status is HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        extra["Retry-After"] = str(RETRY_AFTER_S)
    return JSONResponse(body.model_dump(), status, headers=extra, media_type=MEDIA_TYPE)


_INTERNAL = "the service failed on this request; the operator finds the cause in the log"


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    app.add_exception_handler(FemurctError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unknown)


def _on_ours(_: Request, error: Exception) -> JSONResponse:
    code = error.code if isinstance(error, FemurctError) else "internal_error"
    if code not in STATUS:
        logger.error("error without a status: %s", code)
    return problem(code, str(error))


def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    """What is wrong with which parameter; what was sent is not repeated."""
    errors = error.errors() if isinstance(error, RequestValidationError) else ()
    found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in errors)
    return problem("invalid_request", found or "the request is malformed")


def _on_http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status not in _NO_ROUTE:
        return problem("internal_error" if status >= 500 else "invalid_request", _INTERNAL)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _methods(request) or (headers or {}).get("Allow", "")
        detail = f"{request.url.path} does not take {request.method}; it takes {allowed}"
        return problem("method_not_allowed", detail, {"Allow": allowed})
    detail = f"{request.url.path} does not exist; GET /openapi.json lists what does"
    return problem("not_found", detail, headers)


def _methods(request: Request) -> str:
    """All methods of the path; the exception names those of the path's first route only."""
    pattern = getattr(request.scope.get("route"), "path", "")
    methods = request.app.openapi()["paths"].get(pattern, {})
    return ", ".join(sorted(method.upper() for method in methods))


def _on_disconnect(_: Request, _error: Exception) -> JSONResponse:
    """Nobody reads this."""
    return problem("invalid_request", "the client left before its request was complete")


def _on_unknown(_: Request, _error: Exception) -> JSONResponse:
    """Starlette logs the traceback; the client learns nothing of it."""
    return problem("internal_error", _INTERNAL)
