"""What the claims of JWTs are made of."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

_YEAR_9999 = 253_402_300_799

Text = Annotated[str, msgspec.Meta(min_length=1)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=_YEAR_9999)]
"""NumericDate of RFC 7519 in whole seconds: ours."""
Date = Annotated[float, msgspec.Meta(ge=0, le=_YEAR_9999)]
"""NumericDate of RFC 7519 as others may write it."""


class SubjectIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9493 section 3.2.3: the subject as its own issuer calls it."""

    format: Literal["iss_sub"]
    iss: Text
    sub: Text


def seconds(at: datetime) -> int:
    """Write a moment; rounded down, so that nothing lives longer than it was meant to."""
    return int(at.timestamp())


def moment(numeric_date: float) -> datetime:
    """Read a moment."""
    return datetime.fromtimestamp(numeric_date, UTC)
