"""Recovery codes: ten look-up secrets, shown once, kept as keyed digests (UX AU-10)."""

import hmac
import re
from base64 import b32encode

from stepup.domain.authenticator import RecoveryCodes

CODES = 10
# 80 bits: NIST SP 800-63B-4 section 3.1.2.2 asks for 64 of a look-up secret that is rate limited.
BYTES_PER_CODE = 10
RANDOM_BYTES = CODES * BYTES_PER_CODE

_GROUP = 4
_CODE = re.compile(r"[A-Z2-7]{16}", re.ASCII)
_SEPARATORS = re.compile(r"[\s\u2010-\u2015-]+")
# Base32 leaves these out; who types them meant the letter (RFC 4648 section 6).
_MISREAD = str.maketrans("018", "OIB")


def generate(random: bytes) -> tuple[str, ...]:
    """Write 100 random bytes as ten codes, in groups of four for copying by hand."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"recovery codes need {RANDOM_BYTES} random bytes")
    return tuple(
        _grouped(b32encode(random[i : i + BYTES_PER_CODE]).decode())
        for i in range(0, RANDOM_BYTES, BYTES_PER_CODE)
    )


def normalize(text: str) -> str | None:
    """Return the code as it is digested, None when the text cannot be one."""
    code = _SEPARATORS.sub("", text).upper().translate(_MISREAD)
    return code if _CODE.fullmatch(code) else None


def digest(code: str, key: bytes) -> bytes:
    """Digest a code under a key, however it is grouped.

    Raises:
        ValueError: If the text cannot be a code.
    """
    normalized = normalize(code)
    if normalized is None:
        raise ValueError("not a recovery code")
    return hmac.digest(key, normalized.encode(), "sha256")


def matching_digest(codes: RecoveryCodes, code: str, key: bytes) -> bytes | None:
    """Return the digest of the set that the code has, None when it is none of them."""
    if normalize(code) is None:
        return None
    presented = digest(code, key)
    # Every digest is compared, so the time taken does not tell which code it was.
    matches = [known for known in codes.digests if hmac.compare_digest(known, presented)]
    return next(iter(matches), None)


def _grouped(text: str) -> str:
    return "-".join(text[i : i + _GROUP] for i in range(0, len(text), _GROUP))
