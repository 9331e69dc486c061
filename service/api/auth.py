"""Who may ask: a key in the headers, checked before the body is read."""

from __future__ import annotations

import hmac
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.api.dependencies import Services
from service.errors import ServiceError

_bearer = HTTPBearer(auto_error=False, description="one of FEMURCT_API_KEYS")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="one of FEMURCT_API_KEYS")


async def authenticate(
    request: Request,
    services: Services,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> None:
    """Let the request pass when it carries a key; without keys, when no web page sent it.

    Raises:
        ServiceError: ``unauthorized``, ``foreign_page``.
    """
    if not services.api_keys:
        if services.is_local:
            _refuse_foreign_pages(request)
        return
    given = (bearer.credentials if bearer else header or "").encode()
    # every key is compared, in constant time: the answer's time tells nothing of the keys
    matches = [hmac.compare_digest(given, key.encode()) for key in services.api_keys]
    if not any(matches):
        raise ServiceError(
            "the request carries no accepted API key; "
            "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
            code="unauthorized",
        )


def _refuse_foreign_pages(request: Request) -> None:
    """A page that a browser on this machine shows can send to loopback; it may not.

    Its script names its own address in ``Origin``, or, where its name was made to lead here (DNS
    rebinding), in ``Host``.
    """
    host = request.headers.get("host", "")
    origin = request.headers.get("origin", f"http://{host}")
    if not _is_this_machine(request.url.hostname or "") or origin != f"http://{host}":
        raise ServiceError(
            "without API keys this service answers programs on its own machine, under 127.0.0.1 or "
            "localhost, and no other site's page; set FEMURCT_API_KEYS, or "
            "FEMURCT_ALLOW_ANONYMOUS=true behind a proxy that authenticates",
            code="foreign_page",
        )


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):  # a name, not an address
        return ip_address(host).is_loopback
    return host == "localhost"
