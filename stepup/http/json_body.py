"""JSON bodies, read strictly where readers could disagree and leniently where standards say so.

I-JSON (RFC 7493): no member twice, no lone surrogate. Unknown members are ignored, unless the
struct says otherwise; types are as written, never converted.
"""

import json
import re
from typing import Any, TypeVar

import msgspec
from litestar import Request

from stepup.domain.errors import InvalidRequestError
from stepup.http.body import read_body
from stepup.http.form import media_type
from stepup.http.headers import headers

Body = TypeVar("Body", bound=msgspec.Struct)

# An AuthZEN request needs four levels; nobody's properties need thirty-two.
DEPTH_LIMIT = 32

# Possessive, and a text without an end is one too: each byte is looked at once.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_CONTENT_TYPE = b"application/json"


async def read_json(request: Request[Any, Any, Any], shape: type[Body]) -> Body:
    """Read the JSON object of a request.

    Raises:
        InvalidRequestError: If it is not JSON of that shape, or could be read in two ways.
    """
    sent = headers(request.scope, b"content-type")
    if len(sent) != 1 or media_type(sent[0]) != _CONTENT_TYPE:
        raise InvalidRequestError("The request must be application/json.")
    return parse_json(await read_body(request), shape)


def parse_json(text: bytes, shape: type[Body]) -> Body:
    """Read a JSON object.

    Raises:
        InvalidRequestError: If it is not JSON of that shape, or could be read in two ways.
    """
    check_unambiguous(text)
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        # Says what was expected and where, never what was sent.
        raise InvalidRequestError(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequestError("The body is not JSON.") from None


def check_unambiguous(text: bytes) -> None:
    """Refuse what two JSON readers could understand differently.

    Raises:
        InvalidRequestError: If a member is repeated, a surrogate stands alone, or it nests deeper
            than anybody needs.
    """
    _check_depth(text)
    try:
        _READER.decode(text.decode())
        if b"\\u" in text:
            # Python lets a lone surrogate pass; msgspec, reading all of it, does not.
            msgspec.json.decode(text)
    except _RepeatedMemberError:
        raise InvalidRequestError("A member of an object is repeated.") from None
    except (ValueError, RecursionError):
        raise InvalidRequestError("The body is not JSON.") from None


class _RepeatedMemberError(Exception):
    """An object has a member twice."""


def _without_repetition(members: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(members)
    if len(result) != len(members):
        raise _RepeatedMemberError
    return result


_READER = json.JSONDecoder(object_pairs_hook=_without_repetition)


def _check_depth(text: bytes) -> None:
    # Counting brackets is nearly free and settles it for every ordinary request.
    if text.count(b"[") + text.count(b"{") <= DEPTH_LIMIT:
        return
    depth = 0
    for found in _STRUCTURE.finditer(text):
        mark = found.group()
        if mark in {b"[", b"{"}:
            depth += 1
        elif mark in {b"]", b"}"}:
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise InvalidRequestError("The body is nested too deeply.")
