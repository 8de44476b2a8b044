"""Reading bound values out of a request body, so that there is only one way to understand it."""

import json
from urllib.parse import parse_qsl

from stepup.sdk.errors import BindingError

MAX_BODY = 64 * 1024


def fields_of(content_type: str, body: bytes) -> dict[str, object]:
    """Return the members of a JSON object or the fields of a form; nothing for other types.

    Raises:
        BindingError: If a name occurs twice, or the body is not what it says it is.
    """
    if len(body) > MAX_BODY:
        raise BindingError("the body is too large to be confirmed")
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return _object(json.loads(body.decode(), object_pairs_hook=_unique))
        if kind == "application/x-www-form-urlencoded":
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
            )
            return _unique([(name, value) for name, value in pairs])
    except BindingError:
        raise
    except (ValueError, RecursionError) as error:
        raise BindingError("the body is not what its type says") from error
    return {}


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BindingError("the body is not an object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    # Of two amounts, we might digest one and the application transfer the other.
    if len(members) != len(pairs):
        raise BindingError("a name occurs twice in the body")
    return members
