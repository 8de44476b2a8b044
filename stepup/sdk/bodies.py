"""Reading bound values out of a request body, so that there is only one way to understand it.

Whoever calls does not choose the parser: a route takes JSON, or it takes a form, and its guard is
told which. One text can be both, and would be confirmed as one and executed as the other. What two
good readers of the same format might still read differently is refused.
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, parse_qsl

from stepup.sdk.errors import BindingError, BodyTypeError

MAX_BODY = 64 * 1024
BodyKind: TypeAlias = Literal["json", "form"]

_TYPES: dict[BodyKind, str] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
}
_UTF_8 = re.compile(r'[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?', re.IGNORECASE).fullmatch
# What serializers of forms write. It has no quotes and no braces: nothing that this matches is a
# JSON object too. Neither does it have what only some readers take for a separator.
_PART = r"(?:[A-Za-z0-9*._~!'()+-]|%(?!00)[0-9A-Fa-f]{2})"
_FORM = re.compile(rf"{_PART}+={_PART}*(?:&{_PART}+={_PART}*)*", re.ASCII).fullmatch


def check_kind(kind: object) -> None:
    """Refuse, at the start, a kind of body that there is not.

    Raises:
        ValueError: If it is neither JSON nor a form.
    """
    if kind not in _TYPES:
        raise ValueError('a route takes a body of the kind "json" or "form"')


def fields_of(
    kind: BodyKind, types: Sequence[str], body: bytes, encodings: Sequence[str] = ()
) -> dict[str, object]:
    """Return the members of a JSON object or the fields of a form, as the route takes one.

    `types` and `encodings` are all Content-Type and Content-Encoding fields of the request.

    Raises:
        BodyTypeError: If there is a body, and it does not say that it is of this kind.
        BindingError: If it is not, or can be read in two ways.
    """
    if len(body) > MAX_BODY:
        raise BindingError("the body is too large to be confirmed")
    if not body:
        return {}
    _check_type(_TYPES[kind], types, encodings)
    try:
        fields = _members(body.decode()) if kind == "json" else _pairs(body.decode("ascii"))
    except BindingError:
        raise
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BindingError("the body is not what its type says") from error
    # Some readers take names without regard to case, and then the last one.
    if len({name.casefold() for name in fields}) != len(fields):
        raise BindingError("two names in the body differ only in case")
    return fields


def refuse_two_places(
    parameters: Mapping[str, object], fields: Mapping[str, object], query: bytes
) -> None:
    """Refuse a value that stands in two places: others might take it from the other one.

    Raises:
        BindingError: If a name occurs in two of path, body and query.
    """
    if parameters.keys() & fields.keys():
        raise BindingError("a value stands both in the path and in the body")
    asked = parse_qs(query.decode(errors="replace"), keep_blank_values=True, errors="replace")
    if asked.keys() & (parameters.keys() | fields.keys()):
        raise BindingError("a value stands both in the query and in the path or body")


def _check_type(wanted: str, types: Sequence[str], encodings: Sequence[str]) -> None:
    if any(encoding.strip().lower() != "identity" for encoding in encodings):
        raise BodyTypeError("the body must be sent without a Content-Encoding")
    sent = types[0] if len(types) == 1 else ""
    name, parameters = sent[: len(wanted)], sent[len(wanted) :]
    if name.lower() != wanted or not _UTF_8(parameters):
        raise BodyTypeError(f"the body must be sent as {wanted}, in UTF-8")


def _members(text: str) -> dict[str, object]:
    value = _json.decode(text)
    if not isinstance(value, dict):
        raise BindingError("the body is not an object")
    if "\\u" in text:
        # Half of a surrogate pair is no character: readers keep, replace or refuse it.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _pairs(text: str) -> dict[str, object]:
    if not _FORM(text):
        raise BindingError("the form is not written as serializers write it")
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    return _unique([(name, value) for name, value in pairs])


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    # Of two amounts, we might digest one and the application transfer the other.
    if len(members) != len(pairs):
        raise BindingError("a name occurs twice in the body")
    return members


def _integer(text: str) -> int:
    value = int(text)
    # Past 64 bits readers round, wrap or refuse; of -0 some make a fraction.
    if not -(2**63) <= value < 2**64 or text == "-0":
        raise BindingError("a whole number in the body can be read in two ways")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    # One reader keeps every digit, another rounds: 1000.00000000000000001 is and is not above 1000.
    if value in _INFINITIES or Decimal(repr(value)) != Decimal(text):
        raise BindingError("a fraction in the body can be read in two ways")
    return value


def _constant(name: str) -> object:
    raise BindingError(f"{name} is not JSON")


_INFINITIES = (float("inf"), float("-inf"))
_json = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)
