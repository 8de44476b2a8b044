"""JWTs under a key of the keyring: signed by us, and verified when they come back."""

from functools import lru_cache
from typing import Any

from stepup.crypto import jwts
from stepup.domain.keyring import SigningKey


def sign(claims: bytes, key: SigningKey, *, typ: str) -> str:
    """Sign claims that are JSON already, under the key's own name."""
    signing_key = jwts.Key(algorithm=key.algorithm, key=key.private_key)
    return jwts.sign(claims, signing_key, typ=typ, key_id=key.id)


def verify(text: str, key: SigningKey, *, typ: str) -> bytes:
    """Verify a JWT of one kind, and return its claims as JSON.

    Raises:
        InvalidTokenError: If it was changed, is of another kind, or another key signed it.
    """
    verification_key = jwts.Key(algorithm=key.algorithm, key=_public_key(key.private_key))
    return jwts.verify(text, verification_key, typs=(typ,))


# More keys than there are between two rotations.
@lru_cache(maxsize=16)
def _public_key(private_key: Any) -> object:
    return private_key.public_key()
