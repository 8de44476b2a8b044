"""Pages of a list: how many, behind which token, and the token of the next page.

A token says where the page before ended, so that what is added meanwhile moves nothing.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request

from stepup.domain.errors import InvalidRequestError
from stepup.http.form import read_query

_Item = TypeVar("_Item")
_Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]
_DIGITS = 18


class PageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page of a list."""

    limit: _Limit = 50
    page_token: str = ""


class Page(msgspec.Struct, frozen=True):
    """Which items are asked for: so many with numbers below this."""

    before: int
    count: int

    def next_token(self, items: Sequence[_Item], number: Callable[[_Item], int]) -> str:
        """Return the token of the page behind these items; empty when they were the last."""
        return "" if len(items) < self.count else _token(number(items[-1]))


def read_page(request: Request[Any, Any, Any], *, highest: int) -> Page:
    """Read which page is asked for; `highest` is above every number there can be.

    Raises:
        InvalidRequestError: If the query does not say it as it must.
    """
    try:
        asked = msgspec.convert(dict(read_query(request)), PageRequest, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"{error}.") from None
    before = _number(asked.page_token) if asked.page_token else highest
    return Page(min(before, highest), asked.limit)


def _token(number: int) -> str:
    return urlsafe_b64encode(b"%d" % number).rstrip(b"=").decode()


def _number(token: str) -> int:
    try:
        text = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        text = b""
    if not text.isdigit() or len(text) > _DIGITS:
        raise InvalidRequestError("The page token is not valid; begin again without one.")
    return int(text)
