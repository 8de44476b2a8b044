"""What the parts of a document have in common."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping of a document."""


Span = (
    Annotated[
        str,
        Meta(pattern=r"^(?=.)([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$"),
    ]
    | Annotated[int, Meta(ge=0, le=10**9)]
)
"""`90s`, `15m`, `1h30m`, `30d`, or a number of seconds."""

Words = str | list[str]
"""Several texts; a single one need not stand in a list."""

LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
Texts = Annotated[str, Meta()] | dict[Annotated[str, Meta(pattern=LANGUAGE)], str]
"""A text for people: one for all languages (it counts as English), or one for each."""


MAX_IDENTIFIER = 128
Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_IDENTIFIER)]
"""A name that people compare by eye: printable characters."""


def said(description: str, *, at_most: int | None = None, **keywords: object) -> Meta:
    """Describe a field; `at_most` limits its entries, however they are written."""
    limits = {"maxItems": at_most, "maxProperties": at_most} if at_most is not None else {}
    return Meta(description=description, extra_json_schema={**limits, **keywords})


def names_of(shape: type[Shape]) -> frozenset[str]:
    """Return the fields of a mapping as a document writes them."""
    return frozenset(shape.__struct_encode_fields__)
