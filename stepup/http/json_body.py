"""JSON bodies, read strictly where readers could disagree and leniently where standards say so.

I-JSON (RFC 7493): no member twice, no lone surrogate. Unknown members are ignored, unless the
struct says otherwise; types are as written, never converted.
"""

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
