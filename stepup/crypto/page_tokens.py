"""Where a search goes on: sealed, so that the caller learns nothing from it and changes nothing.

It opens for the same search by the same client, and for a while.
"""

from datetime import datetime, timedelta

import msgspec

from stepup.crypto import digests
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import NewerFormatError

LIFETIME = timedelta(minutes=10)

_FORMAT = 1


class InvalidPageTokenError(Exception):
    """The token was changed, has expired, or belongs to another search."""


class PagePlace(msgspec.Struct, frozen=True, array_like=True):
    """The candidate to go on with, and how many results a page of this search holds."""

    offset: int
    limit: int


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    version: int
    place: PagePlace
    expires_at: float


_decoder = msgspec.json.Decoder(_Sealed)


def seal_place(place: PagePlace, sealer: Sealer, *, search: str, now: datetime) -> str:
    """Write the token of the next page; `search` is the digest of what is searched for."""
    sealed = _Sealed(_FORMAT, place, (now + LIFETIME).timestamp())
    return digests.encode(sealer.seal(msgspec.json.encode(sealed), context=search))


def open_place(text: str, sealer: Sealer, *, search: str, now: datetime) -> PagePlace:
    """Read the token of a page.

    Raises:
        InvalidPageTokenError: If it was not made for this search, or has expired.
    """
    try:
        sealed = _decoder.decode(sealer.unseal(digests.decode(text), context=search))
    # A newer release's token is none of ours; the search begins again.
    except (UnsealError, NewerFormatError, ValueError, msgspec.DecodeError):
        raise InvalidPageTokenError from None
    if sealed.version != _FORMAT or now.timestamp() > sealed.expires_at:
        raise InvalidPageTokenError
    return sealed.place
