"""The header `DPoP-Nonce` on an answer that is no refusal (RFC 9449 section 8.2)."""

from typing import cast

from litestar.types import Scope

HEADER = b"dpop-nonce"
_KEY = "dpop_nonce"


def offer_nonce(scope: Scope, nonce: str) -> None:
    """Have the answer to this request carry the nonce that the next proof is to have."""
    scope["state"][_KEY] = nonce


def offered_nonce(scope: Scope) -> str | None:
    """Return the nonce that the answer is to carry, None for most requests."""
    return cast("str | None", scope["state"].get(_KEY))
