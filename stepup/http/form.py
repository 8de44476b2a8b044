"""Form bodies and queries as OAuth reads them: each parameter once, empty means absent.

Strict where a lenient reader would let two readers disagree about one request: a repeated name, a
broken escape or text that is no UTF-8 is refused (RFC 6749 section 3.1, appendix B).
"""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request

from stepup.domain.errors import InvalidRequestError, InvalidTargetError
from stepup.http.body import read_body
from stepup.http.headers import headers

# Ours hold a few hundred bytes; codes of upstream issuers are the longest that come here.
QUERY_LIMIT = 8 * 1024

_MEDIA_TYPE = b"application/x-www-form-urlencoded"
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Form(dict[str, str]):
    """The parameters of one request, by name."""

    def need(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises:
            InvalidRequestError: If it is missing or empty.
        """
        value = self.get(name)
        if value is None:
            raise InvalidRequestError(f"The parameter {name} is missing.")
        return value


async def read_form(request: Request[Any, Any, Any]) -> Form:
    """Read the body of a form post; what stands in the query is ignored.

    Raises:
        InvalidRequestError: If it is no form, or one that could be read in two ways.
        InvalidTargetError: If it names more than one resource.
    """
    sent = headers(request.scope, b"content-type")
    if len(sent) != 1 or media_type(sent[0]) != _MEDIA_TYPE:
        raise InvalidRequestError("The request must be application/x-www-form-urlencoded.")
    return parse_form(await read_body(request))


def read_query(request: Request[Any, Any, Any]) -> Form:
    """Read the query of a page or an authorization request, as strictly as a form.

    Raises:
        InvalidRequestError: If it is longer than any page needs, or could be read in two ways.
        InvalidTargetError: If it names more than one resource.
    """
    text = request.scope["query_string"]
    if len(text) > QUERY_LIMIT:
        raise InvalidRequestError("The query is too long.")
    return parse_form(text)


def parse_form(text: bytes) -> Form:
    """Read `name=value` pairs.

    Raises:
        InvalidRequestError: If a name is repeated or a value cannot be decoded.
        InvalidTargetError: If it names more than one resource.
    """
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequestError("The form holds a broken percent escape.")
    form = Form()
    seen: set[str] = set()
    for pair in text.split(b"&"):
        name, _, value = pair.partition(b"=")
        key = decode_component(name)
        if key in seen:
            raise _repeated(key)
        if key:
            seen.add(key)
        # RFC 6749 section 3.1: a parameter without a value was not sent.
        if key and value:
            form[key] = decode_component(value)
    return form


def decode_component(text: bytes) -> str:
    """Decode one name or value.

    Raises:
        InvalidRequestError: If it is no UTF-8, or holds a NUL, which no store of ours keeps.
    """
    try:
        decoded = unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("The form is not UTF-8.") from None
    if "\0" in decoded:
        raise InvalidRequestError("The form holds a NUL character.")
    return decoded


def media_type(value: bytes) -> bytes:
    """Return a content type without its parameters, in lower case."""
    return value.partition(b";")[0].strip().lower()


def _repeated(name: str) -> InvalidRequestError | InvalidTargetError:
    # RFC 8707 section 2 lets `resource` repeat; our tokens have one audience, so it may not here.
    if name == "resource":
        return InvalidTargetError("Name one resource only: a token has one audience.")
    return InvalidRequestError("A parameter is repeated.")
