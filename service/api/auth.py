"""Who may ask: a key in the headers, checked before the body is read."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from service.api.dependencies import Services
from service.errors import ServiceError

_bearer = HTTPBearer(auto_error=False, description="one of FEMURCT_API_KEYS")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="one of FEMURCT_API_KEYS")


async def authenticate(
    services: Services,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> None:
    """Let the request pass when it carries a key, or none is set.

    Raises:
        ServiceError: ``unauthorized``.
    """
    if not services.api_keys:
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
