"""The digest of an action and the values an approval is bound to, as the service computes it.

Canonical JSON: members sorted by name, no white space, UTF-8, strings and integers as they were
sent. Fractions are refused: two programs may print one number differently, so send amounts as text.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import TypeAlias

from stepup.sdk.errors import BindingError

BoundValue: TypeAlias = "str | int | bool | list[BoundValue] | dict[str, BoundValue]"

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode
# Deeper values are no amounts and payees, and a hostile body could exhaust the stack.
_MAX_DEPTH = 8


def bound_digest(action: str, bound: Mapping[str, object]) -> str:
    """Digest an action with the values bound to it.

    Raises:
        BindingError: If a value has no exact form.
    """
    for name, value in bound.items():
        if type(value) is not str:
            _check(name, value, _MAX_DEPTH)
    try:
        text = _encode({"action": action, "bound": bound}).encode()
    except UnicodeEncodeError as error:
        raise BindingError("a bound value is not valid text") from error
    return urlsafe_b64encode(hashlib.sha256(text).digest())[:-1].decode()


def digest_of(action: str, names: tuple[str, ...], values: Mapping[str, object]) -> str:
    """Digest exactly the named values.

    Raises:
        BindingError: If one of them is missing or has no exact form.
    """
    try:
        bound = {name: values[name] for name in names}
    except KeyError as error:
        raise BindingError(f"the value of {error.args[0]!r} is missing") from None
    return bound_digest(action, bound)


def _check(name: str, value: object, depth: int) -> None:
    if depth < 0:
        raise BindingError(f"the value of {name!r} is nested too deeply")
    match value:
        case str() | bool():
            pass
        case int() if -(2**63) <= value < 2**64:
            pass
        case list():
            for item in value:
                _check(name, item, depth - 1)
        case dict() if all(isinstance(key, str) for key in value):
            for item in value.values():
                _check(name, item, depth - 1)
        case _:
            raise BindingError(
                f"the value of {name!r} must be text, a whole number or a truth value,"
                f" not {type(value).__name__}"
            )
