"""The values of declared attributes: what was sent, checked and turned into what CEL compares.

A decimal becomes a whole number of minor units, exactly: `"1000.00"`, `1000` and `1000.0` at scale
2 are 100000. A JSON number is taken as its shortest decimal text, so 0.1 + 0.2 (which is
0.30000000000000004) is refused instead of rounded.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from stepup.domain.binding import Value
from stepup.domain.decision_request import Attribute, AttributeType
from stepup.policy_language.spans import parse_span

MAX_TEXT_BYTES = 1024
MAX_LIST_ITEMS = 200

Checked = str | int | float | bool | list[str] | datetime | timedelta

_INT64 = range(-(2**63), 2**63)
_DECIMAL = re.compile(r"(-?)(\d{1,18})(?:\.(\d{1,18}))?\Z", re.ASCII)
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[-+]\d\d:\d\d)\Z", re.ASCII
)
_FRACTION = re.compile(r"(\.\d{6})\d+")


class WrongValueError(ValueError):
    """A value is not of the declared type; the message never shows it."""


def reader_of(attribute: Attribute) -> Callable[[Value], Checked]:
    """Return the function that checks and converts values of an attribute."""
    if attribute.type is AttributeType.DECIMAL:
        scale = attribute.scale
        return lambda value: _decimal(value, scale)
    if attribute.enum:
        return _enumerated(frozenset(attribute.enum), listed=attribute.type is AttributeType.LIST)
    return _READERS[attribute.type]


def parse_timestamp(text: str) -> datetime | None:
    """Read an RFC 3339 timestamp; None when the text is none."""
    if not _TIMESTAMP.match(text):
        return None
    try:
        # Nine digits are allowed on the wire, a datetime holds six.
        return datetime.fromisoformat(_FRACTION.sub(r"\1", text.upper())).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_ip(text: str) -> str | None:
    """Write an address in its one form; an IPv4 address inside IPv6 is the IPv4 address."""
    address = address_of(text)
    return None if address is None else str(address)


# Taking a text apart costs more than all the rest of a decision; the same ones come again.
@lru_cache(maxsize=4096)
def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; an IPv4 address inside IPv6 is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise WrongValueError("must be text")
    if len(value) > MAX_TEXT_BYTES or len(value.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise WrongValueError(f"is longer than {MAX_TEXT_BYTES} bytes")
    if "\0" in value or not value.isprintable():
        _refuse_half_characters(value)
    return value


def _refuse_half_characters(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongValueError("is not valid text") from None


def _int(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValueError("must be a whole number")
    if value not in _INT64:
        raise WrongValueError("is out of range")
    return value


def _double(value: Value) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise WrongValueError("is out of range") from None
    if not math.isfinite(number):
        raise WrongValueError("must be finite")
    return number


def _decimal(value: Value, scale: int) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongValueError('must be an amount, like "1000.00"')
    match = _DECIMAL.match(value if isinstance(value, str) else repr(value))
    if match is None:
        raise WrongValueError('must be an amount, like "1000.00"')
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > scale:
        raise WrongValueError(f"has more than {scale} decimal places")
    units = int(sign + whole + fraction.ljust(scale, "0"))
    if units not in _INT64:
        raise WrongValueError("is out of range")
    return units


def _bool(value: Value) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("must be true or false")
    return value


def _timestamp(value: Value) -> datetime:
    moment = parse_timestamp(value) if isinstance(value, str) and len(value) <= 40 else None
    if moment is None:
        raise WrongValueError("must be a timestamp with an offset, like 2026-01-31T12:00:00Z")
    return moment


def _duration(value: Value) -> timedelta:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9:
        return timedelta(seconds=value)
    span = parse_span(value) if isinstance(value, str) else None
    if span is None:
        raise WrongValueError("must be a span of time, like 90s or 15m")
    return span


def _ip(value: Value) -> str:
    address = parse_ip(value) if isinstance(value, str) and len(value) <= 64 else None
    if address is None:
        raise WrongValueError("must be an IP address")
    return address


def _list(value: Value) -> list[str]:
    if not isinstance(value, list):
        raise WrongValueError("must be a list")
    if len(value) > MAX_LIST_ITEMS:
        raise WrongValueError(f"has more than {MAX_LIST_ITEMS} items")
    return [_text(item) for item in value]


def _enumerated(words: frozenset[str], *, listed: bool) -> Callable[[Value], Checked]:
    def text(value: Value) -> str:
        if not isinstance(value, str) or value not in words:
            raise WrongValueError("is not one of the declared values")
        return value

    def texts(value: Value) -> list[str]:
        return [text(item) for item in _list(value)]

    return texts if listed else text


_READERS: Mapping[AttributeType, Callable[[Value], Checked]] = {
    AttributeType.STRING: _text,
    AttributeType.INT: _int,
    AttributeType.DOUBLE: _double,
    AttributeType.BOOL: _bool,
    AttributeType.TIMESTAMP: _timestamp,
    AttributeType.DURATION: _duration,
    AttributeType.IP: _ip,
    AttributeType.LIST: _list,
}
