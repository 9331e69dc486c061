"""A request's body onto disk: limits from the headers first, then a running count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool

from service.domain.ports import Upload
from service.errors import ServiceError

ZIP_TYPES = frozenset(
    {"application/zip", "application/x-zip-compressed", "application/octet-stream"}
)
"""Media types of a raw body."""

MULTIPART = "multipart/form-data"

MULTIPART_OVERHEAD_BYTES = 64 * 1024
"""Boundaries and part headers around the one file."""

BLOCK_BYTES = 1024 * 1024
"""Written at once, in a thread, so that a slow disk does not hold up other requests."""

IDLE_TIMEOUT_S = 60.0
"""A client that sends nothing for this long has left."""


def check_headers(request: Request, max_bytes: int) -> None:
    """Refuse by the headers alone what will not be accepted.

    Raises:
        ServiceError: ``unsupported_media_type``, ``upload_too_large``.
    """
    media_type = _media_type(request)
    if media_type not in ZIP_TYPES and media_type != MULTIPART:
        raise ServiceError(
            f"the body is {media_type or 'of no stated type'}; send a zip as application/zip, "
            f"or one file as {MULTIPART}",
            code="unsupported_media_type",
        )
    declared = request.headers.get("content-length", "")
    overhead = MULTIPART_OVERHEAD_BYTES if media_type == MULTIPART else 0
    if declared.isdigit() and int(declared) > max_bytes + overhead:
        raise _too_large(max_bytes)


async def receive_body(request: Request, upload: Upload, max_bytes: int) -> None:
    """Write the zip that a request carries.

    Raises:
        ServiceError: ``upload_too_large``, ``empty_body``, ``upload_timeout``,
            ``malformed_multipart``, ``one_file_expected``, ``storage_full``.
        ClientDisconnect: the client left.
    """
    file = _FilePart(request) if _media_type(request) == MULTIPART else None
    received, pending = 0, bytearray()
    async for chunk in _chunks(request):
        received += len(chunk)
        pending += chunk if file is None else file.feed(chunk)
        size = upload.size + len(pending)
        if size > max_bytes or received > max_bytes + MULTIPART_OVERHEAD_BYTES:
            raise _too_large(max_bytes)
        if len(pending) >= BLOCK_BYTES:
            await run_in_threadpool(upload.write, bytes(pending))
            pending.clear()
    if file is not None:
        file.finish()
    await run_in_threadpool(upload.write, bytes(pending))
    if upload.size == 0:
        raise ServiceError(
            "the body is empty; send the zip of a CT series in it", code="empty_body"
        )


class _FilePart:
    """The content of the one file in a multipart body, piece by piece (RFC 7578)."""

    def __init__(self, request: Request) -> None:
        _, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if not boundary:
            raise _malformed("the content type names no boundary")
        self._parts = 0
        self._ended = False
        self._out = bytearray()
        on_part_begin: Callable[[], None] = self._begin
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": on_part_begin,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from error

    def feed(self, chunk: bytes) -> bytes:
        """The file's bytes in this piece of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed("its parts do not follow RFC 7578") from error
        out = bytes(self._out)
        self._out.clear()
        return out

    def finish(self) -> None:
        """Check that the body was whole."""
        if not self._ended:
            raise _malformed("the closing boundary is missing")
        if self._parts != 1:
            raise _one_file(self._parts)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _one_file(self._parts)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._out += data[start:end]

    def _end(self) -> None:
        self._ended = True


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise ServiceError(
                f"nothing was received for {IDLE_TIMEOUT_S:g} s; send the upload again",
                code="upload_timeout",
            ) from error
        yield chunk


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(max_bytes: int) -> ServiceError:
    return ServiceError(
        f"the upload is larger than {max_bytes} bytes; send one hip CT series, "
        "or raise FEMURCT_MAX_UPLOAD_BYTES",
        code="upload_too_large",
    )


def _malformed(found: str) -> ServiceError:
    return ServiceError(
        f"the multipart body cannot be read: {found}; send one file part, or the zip itself",
        code="malformed_multipart",
    )


def _one_file(parts: int) -> ServiceError:
    return ServiceError(
        f"the multipart body has {parts} parts or more; send exactly one, the zip",
        code="one_file_expected",
    )
