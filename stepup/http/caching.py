"""Public documents that whoever reads them may keep."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

from litestar import Request, Response

from stepup.http.headers import header


def tag_of(body: bytes) -> str:
    """Return the entity tag of what is sent."""
    digest = urlsafe_b64encode(hashlib.sha256(body).digest()[:15]).decode()
    return f'"{digest}"'


def cacheable(
    request: Request[Any, Any, Any],
    body: bytes,
    tag: str,
    caching: str,
    *,
    media_type: str = "application/json",
) -> Response[bytes]:
    """Answer with a public document, or say that the caller has it (RFC 9110 section 13.1.2)."""
    sent = {
        "cache-control": caching,
        "etag": tag,
        # Public documents; a browser app reads them as any other client does.
        "access-control-allow-origin": "*",
    }
    if _matches(header(request.scope, b"if-none-match"), tag):
        return Response(b"", status_code=304, headers=sent)
    return Response(body, headers=sent, media_type=media_type)


def _matches(condition: bytes | None, tag: str) -> bool:
    if condition is None:
        return False
    known = {part.strip().removeprefix(b"W/") for part in condition.split(b",")}
    return b"*" in known or tag.encode() in known
