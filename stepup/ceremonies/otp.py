"""Codes of authenticator apps: which time step one belongs to, and how an app learns the key.

Whether that step was accepted before is the store's knowledge (RFC 6238 section 5.2); pyotp's own
clock is never asked.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b32decode, b32encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
import pyotp

from stepup.domain.authenticator import TotpSecret
from stepup.domain.errors import InvalidRequestError

# NIST SP 800-63B-4 section 3.1.4.1 asks for 112 bits; RFC 4226 R6 for 128 in new secrets, which
# are ours to make and have 160.
MIN_SECRET_BYTES = 14
# HMAC digests longer keys first, so more than SHA-512's block adds nothing.
MAX_SECRET_BYTES = 128

# One step either way: for slow readers and clocks that are a little off.
WINDOW = 1

# By so much the clock of an instance in service may be ahead of ours.
_CLOCK_SKEW = timedelta(seconds=2)

_DIGESTS: Mapping[str, object] = {
    "SHA1": hashlib.sha1,
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
}
# What people type or paste between groups of digits: any white space, hyphens and dashes.
_SEPARATORS = re.compile(r"[\s\u2010-\u2015-]+")


class _Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The provisioning form of an authenticator app's key."""

    secret: Annotated[str, msgspec.Meta(max_length=400)]
    type: Literal["totp"] = "totp"
    name: str | None = None
    algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1"
    digits: Literal[6, 8] = 6
    period: Literal[30, 60] = 30


def matching_step(
    secret: TotpSecret, code: str, now: datetime, *, window: int = WINDOW
) -> int | None:
    """Return the time step that the code belongs to, None when it is no code of about now.

    One step either way allows for a slow reader and a clock that is a little off (RFC 6238
    section 5.2). Should two steps share a code, the later one is returned, which spends both.
    """
    presented = normalize_code(code).encode(errors="replace")
    current = int(now.timestamp()) // secret.period
    generator = _generator(secret)
    matched = None
    # Every step is compared, so the time taken does not tell which one was near.
    for step in range(max(0, current - window), current + window + 1):
        if hmac.compare_digest(generator.generate_otp(step).encode(), presented):
            matched = step
    return matched


def possible_since(secret: TotpSecret, step: int, *, window: int = WINDOW) -> datetime:
    """Return the first moment at which the code of a step could match, anywhere."""
    first = datetime.fromtimestamp(max(0, step - window) * secret.period, UTC)
    return first - _CLOCK_SKEW


def counts_from(secret: TotpSecret, floor_at: datetime, *, window: int = WINDOW) -> datetime:
    """Return when an app shows the first code that could not match at the floor, anywhere."""
    at_the_floor = int((floor_at + _CLOCK_SKEW).timestamp()) // secret.period
    return datetime.fromtimestamp((at_the_floor + window + 1) * secret.period, UTC)


def normalize_code(text: str) -> str:
    """Drop the separators that people type; digits of other scripts stay, and match nothing."""
    return _SEPARATORS.sub("", text)


def provisioning_uri(secret: TotpSecret, *, account: str, issuer: str) -> str:
    """Return the `otpauth:` URI that an app reads from a QR code; it holds the secret."""
    return _generator(secret).provisioning_uri(name=account, issuer_name=issuer)


def group_secret(secret: TotpSecret) -> str:
    """Write the secret for typing: base32 in groups of four."""
    text = _base32(secret)
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def parse_totp_parameters(described: Mapping[str, object]) -> TotpSecret:
    """Read the key of an authenticator app that is enrolled already.

    Raises:
        InvalidRequestError: If a parameter is missing, unknown, or not supported.
    """
    try:
        parameters = msgspec.convert(dict(described), _Parameters)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"The authenticator is malformed: {error}") from None
    return TotpSecret(
        secret=_parse_secret(parameters.secret),
        algorithm=parameters.algorithm,
        digits=parameters.digits,
        period=parameters.period,
    )


def _parse_secret(text: str) -> bytes:
    compact = _SEPARATORS.sub("", text).rstrip("=").upper()
    try:
        secret = b32decode(compact + "=" * (-len(compact) % 8))
    except (binascii.Error, ValueError):
        raise InvalidRequestError("The secret is not base32.") from None
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise InvalidRequestError("The secret must have 14 to 128 bytes.")
    return secret


def _generator(secret: TotpSecret) -> pyotp.TOTP:
    return pyotp.TOTP(
        _base32(secret),
        digits=secret.digits,
        digest=_DIGESTS[secret.algorithm],
        interval=secret.period,
    )


def _base32(secret: TotpSecret) -> str:
    return b32encode(secret.secret).decode().rstrip("=")
