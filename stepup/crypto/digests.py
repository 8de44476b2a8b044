"""Keyed digests, keys derived from the root secret, and PKCE's digest.

A secret that we only need to recognize is kept as a keyed digest, so a stolen table cannot be
searched offline. Every use has a key of its own, derived from one root.
"""

import binascii
import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DIGEST_BYTES = 32

# RFC 7636 section 4.1: 43 to 128 unreserved characters.
_CODE_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


# A handful of purposes for each root that a process ever holds; every request needs one of them.
@lru_cache(maxsize=64)
def derive(root: bytes, purpose: str) -> bytes:
    """Derive the key of one purpose from the root secret (HKDF-SHA256, RFC 5869)."""
    # The root is uniformly random already, so RFC 5869 section 3.1 needs no salt.
    return HKDF(SHA256(), DIGEST_BYTES, salt=None, info=purpose.encode()).derive(root)


def keyed_digest(key: bytes, text: str | bytes) -> bytes:
    """Digest a secret under a key (HMAC-SHA256)."""
    return hmac.digest(key, text.encode() if isinstance(text, str) else text, "sha256")


def equal(a: bytes, b: bytes) -> bool:
    """Compare two digests in a time that does not tell where they differ."""
    return hmac.compare_digest(a, b)


def code_challenge_of(verifier: str) -> str:
    """Compute the S256 challenge of a code verifier (RFC 7636 section 4.2)."""
    return encode(hashlib.sha256(verifier.encode()).digest())


def is_code_verifier(text: str) -> bool:
    """Say whether the text has the form of a code verifier (RFC 7636 section 4.1)."""
    return _CODE_VERIFIER.fullmatch(text) is not None


def encode(data: bytes) -> str:
    """Write bytes as base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url without padding, in its one canonical form.

    Raises:
        ValueError: If the text is not what `encode` would have written.
    """
    # The library skips foreign characters and ignores stray bits, which would give one value
    # many spellings and break every "seen once" rule built on the text.
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("not base64url") from None
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
