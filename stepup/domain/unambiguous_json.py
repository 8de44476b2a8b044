"""I-JSON (RFC 7493): no member twice, no lone surrogate, nothing that nests without an end.

Two readers of such a text cannot understand two things.
"""

import json
import re

import msgspec

from stepup.domain.errors import InvalidRequestError

# An AuthZEN request needs four levels; nobody's properties need thirty-two.
DEPTH_LIMIT = 32

# Possessive, and a text without an end is one too: each byte is looked at once.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def check_unambiguous(text: bytes) -> None:
    """Refuse what two JSON readers could understand differently.

    Raises:
        InvalidRequestError: If a member is repeated, a surrogate stands alone, or it nests deeper
            than anybody needs.
    """
    _check_depth(text)
    try:
        _READER.decode(text.decode())
        if b"\\u" in text:
            # Python lets a lone surrogate pass; msgspec, reading all of it, does not.
            msgspec.json.decode(text)
    except _RepeatedMemberError:
        raise InvalidRequestError("A member of an object is repeated.") from None
    except (ValueError, RecursionError):
        raise InvalidRequestError("The body is not JSON.") from None


class _RepeatedMemberError(Exception):
    """An object has a member twice."""


def _without_repetition(members: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(members)
    if len(result) != len(members):
        raise _RepeatedMemberError
    return result


_READER = json.JSONDecoder(object_pairs_hook=_without_repetition)


def _check_depth(text: bytes) -> None:
    # Counting brackets is nearly free and settles it for every ordinary request.
    if text.count(b"[") + text.count(b"{") <= DEPTH_LIMIT:
        return
    depth = 0
    for found in _STRUCTURE.finditer(text):
        mark = found.group()
        if mark in {b"[", b"{"}:
            depth += 1
        elif mark in {b"]", b"}"}:
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise InvalidRequestError("The body is nested too deeply.")
