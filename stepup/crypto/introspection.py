"""Signed introspection answers (RFC 9701).

Such an answer holds what an access token holds, and must not pass for one: its `typ` is its own,
and what is said of the token lies one level down, so that it has no `sub` and no `exp` of its own
(RFC 9701 section 5, RFC 8725 section 3.12).
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from stepup.crypto import own_jwts
from stepup.crypto.claims import seconds
from stepup.domain.ids import ClientId
from stepup.domain.keyring import SigningKey
from stepup.domain.site import Site

INTROSPECTION_TYP = "token-introspection+jwt"

_encoder = msgspec.json.Encoder()


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    iss: str
    aud: ClientId
    iat: int
    token_introspection: Mapping[str, object]


def sign_answer(
    answer: Mapping[str, object], reader: ClientId, key: SigningKey, site: Site, now: datetime
) -> str:
    """Sign an answer for the one resource server that asked."""
    claims = _Claims(iss=site.issuer, aud=reader, iat=seconds(now), token_introspection=answer)
    return own_jwts.sign(_encoder.encode(claims), key, typ=INTROSPECTION_TYP)
