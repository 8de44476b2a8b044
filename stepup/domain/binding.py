"""What you see is what you sign: the digest of an action and the values bound to it.

The digest is the base64url SHA-256 of canonical JSON (the subset of RFC 8785 without fractions):
members sorted by name, no white space, strings and integers as they were sent. The SDK computes
the same on the service's side, so both must be given the very same values.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

# What lies deeper is Any: msgspec, which decodes tickets and challenges, refuses recursive aliases.
Value = str | int | float | bool | list[Any] | dict[str, Any] | None
Properties = Mapping[str, Value]

_canonical = msgspec.json.Encoder(order="sorted")


def bound_digest(action: str, bound: Properties) -> str:
    """Digest an action with its bound values."""
    text = _canonical.encode({"action": action, "bound": dict(bound)})
    return urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
