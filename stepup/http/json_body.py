"""JSON bodies, read strictly where readers could disagree and leniently where standards say so.

I-JSON (RFC 7493): no member twice, no lone surrogate. Unknown members are ignored, unless the
struct says otherwise; types are as written, never converted.
"""

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request

from stepup.domain.errors import InvalidRequestError
from stepup.domain.unambiguous_json import check_unambiguous
from stepup.http.body import read_body
from stepup.http.form import media_type
from stepup.http.headers import headers

Body = TypeVar("Body", bound=msgspec.Struct)

_CONTENT_TYPE = b"application/json"
# An escape of its own, and not a backslash that is escaped before a `u`.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def read_json(request: Request[Any, Any, Any], shape: type[Body]) -> Body:
    """Read the JSON object of a request.

    Raises:
        InvalidRequestError: If it is not JSON of that shape, or could be read in two ways.
    """
    return parse_json(await _text_of(request), shape)


async def read_kept_json(request: Request[Any, Any, Any], shape: type[Body]) -> Body:
    """Read the JSON object of a request that is kept, or put on record, as it is.

    Raises:
        InvalidRequestError: As `read_json` does, and if it holds a NUL, which no store of ours
            keeps: what was done already would never be on record.
    """
    text = await _text_of(request)
    if _NUL.search(text):
        raise InvalidRequestError("The body holds a NUL character.")
    return parse_json(text, shape)


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


async def _text_of(request: Request[Any, Any, Any]) -> bytes:
    sent = headers(request.scope, b"content-type")
    if len(sent) != 1 or media_type(sent[0]) != _CONTENT_TYPE:
        raise InvalidRequestError("The request must be application/json.")
    return await read_body(request)
