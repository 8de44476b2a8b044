"""Conditional requests: which revision a caller has seen (RFC 9110 section 13.1.1)."""

import re
from collections.abc import Sequence
from typing import Any

from litestar import Request

from stepup.domain.errors import InvalidRequestError
from stepup.domain.policy_errors import RevisionRequiredError
from stepup.http.headers import headers

_ETAG = re.compile(rb'"(\d{1,9})"')


def etag(revision: int) -> dict[str, str]:
    """Return the headers that say which revision an answer shows."""
    return {"etag": f'"{revision}"'}


def seen_revision(request: Request[Any, Any, Any]) -> int:
    """Return the revision that the caller wants to change.

    `*` is none: whoever has seen nothing changes nothing.

    Raises:
        RevisionRequiredError: If the request does not say it (RFC 6585 section 3).
        InvalidRequestError: If it says it in a way that we never wrote.
    """
    sent = headers(request.scope, b"if-match")
    if not sent:
        raise RevisionRequiredError
    return _number(sent)


def replaced_version(request: Request[Any, Any, Any]) -> int | None:
    """Return the version that the caller wants to replace, None if he does not say.

    `If-None-Match: *` says that there is none yet, which is 0.

    Raises:
        InvalidRequestError: If the request says it in another way.
    """
    matching = headers(request.scope, b"if-match")
    none = [value.strip() for value in headers(request.scope, b"if-none-match")]
    if none and (matching or none != [b"*"]):
        raise InvalidRequestError("If-None-Match must be `*`, without an If-Match.")
    if none:
        return 0
    return _number(matching) if matching else None


def _number(sent: Sequence[bytes]) -> int:
    found = _ETAG.fullmatch(sent[0].strip())
    if len(sent) > 1 or found is None:
        raise InvalidRequestError("If-Match must be one ETag, as it was answered.")
    return int(found[1])
