"""What a pipeline's key looks like: `suk_<identifier>_<secret><checksum>`, in hexadecimal digits.

The prefix is for scanners of repositories and logs, the identifier finds the row, and the checksum
refuses a mistyped or made-up key before anybody asks the database.
"""

import re
import zlib
from typing import NamedTuple

from stepup.crypto import digests
from stepup.domain.ids import ApiKeyId
from stepup.domain.keyring import Keyring

PREFIX = "suk_"
IDENTIFIER_BYTES = 8
SECRET_BYTES = 32
_PURPOSE = "api-key"
_FORM = re.compile(r"suk_([0-9a-f]{16})_([0-9a-f]{64})([0-9a-f]{8})", re.ASCII)


class PresentedKey(NamedTuple):
    """A key as somebody sent it."""

    id: ApiKeyId
    secret: bytes

    def __repr__(self) -> str:
        return f"PresentedKey({self.id}, ***)"


def write(key_id: ApiKeyId, secret: bytes) -> str:
    """Write a key as its holder keeps it."""
    body = f"{PREFIX}{key_id}_{secret.hex()}"
    return body + _checksum(body)


def read(text: str) -> PresentedKey | None:
    """Take a key apart; None when it cannot be one of ours."""
    match = _FORM.fullmatch(text)
    if match is None or _checksum(text[:-8]) != match[3]:
        return None
    return PresentedKey(ApiKeyId(match[1]), bytes.fromhex(match[2]))


def digest(keyring: Keyring, key_id: ApiKeyId, secret: bytes) -> bytes:
    """Digest a key's secret: keyed and fast, since the secret itself has full entropy."""
    key = digests.derive(keyring.root, _PURPOSE)
    return digests.keyed_digest(key, key_id.encode() + b"\0" + secret)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
