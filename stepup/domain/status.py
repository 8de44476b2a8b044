"""The public status of tokens: in which list a token stands, and what the list says of it.

Resource servers that verify locally read one list for all tokens that expire in one window (Token
Status List 13.1), so a list is small, is known to end, and tells nobody which token they ask about.
"""

from datetime import UTC, datetime, timedelta
from enum import IntEnum

import msgspec

from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.domain.revocation import Ground

# As long as a token can live: at any moment two windows have tokens.
WINDOW = MAX_TOKEN_LIFETIME
# Every list has so many places, however many are taken: its size tells nobody how many tokens
# there are. Compressed, places of valid tokens cost next to nothing.
PLACES = 2**20
# Half full, a list is followed by another one: a place drawn at random is free every other time.
PLACES_USED = PLACES // 2
BITS = 2
# Whoever obeys it asks again after so long (draft-ietf-oauth-status-list-20, 13.7). With what it
# takes an instance to hear of a revocation and to publish it, that is within five seconds.
TTL = timedelta(seconds=3)
LIST_LIFETIME = timedelta(seconds=60)
# Long before whoever still has the old one would refuse it.
SIGNED_AGAIN_AFTER = timedelta(seconds=20)
STATUS_PATH = "/status-lists"


class Status(IntEnum):
    """What a list says of a token (Token Status List 7.1); nothing of ours is suspended yet."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


class ListName(msgspec.Struct, frozen=True):
    """A list: the region whose state it is made of, its window, and a name drawn when it began.

    A state that forgot how far it had come begins another list, so no place is given twice.
    """

    region: str
    window: int
    drawn: str

    def __str__(self) -> str:
        return f"{self.region}.{self.window}.{self.drawn}"

    @classmethod
    def parse(cls, text: str) -> "ListName | None":
        """Read a name; None when the text cannot be one."""
        region, _, rest = text.partition(".")
        window, _, drawn = rest.partition(".")
        is_name = region and drawn and window.isdecimal() and window.isascii() and len(window) < 12
        return cls(region, int(window), drawn) if is_name and len(text) <= 100 else None


class ListedToken(msgspec.Struct, frozen=True, array_like=True):
    """A token in a list, and everything that can end it."""

    drawn: str
    place: int
    grounds: tuple[Ground, ...]


def window_of(expires_at: datetime) -> int:
    """Return the window in which a token expires."""
    return int(expires_at.timestamp() // WINDOW.total_seconds())


def end_of(window: int) -> datetime:
    """Return when the last token of a window has expired."""
    return datetime.fromtimestamp((window + 1) * WINDOW.total_seconds(), UTC)


def living_windows(now: datetime) -> range:
    """Return the windows in which tokens that live now expire; a moment more, for clocks."""
    return range(window_of(now - LIST_LIFETIME), window_of(now + MAX_TOKEN_LIFETIME) + 1)
