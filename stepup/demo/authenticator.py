"""A software passkey and an authenticator app, for runs without a browser or a phone."""

import hashlib
import hmac
import json
import secrets
import struct
import time
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PERIOD = 30
# User present, user verified, backup eligible and backed up: a synced passkey, unlocked.
_FLAGS = 0x01 | 0x04 | 0x08 | 0x10


class Passkey:
    """One credential; it signs as the authenticator of a browser would (WebAuthn section 6.3.3)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = secrets.token_bytes(32)

    def provisioning(self) -> dict[str, Any]:
        """Describe the credential as the admin API takes it."""
        return {
            "type": "webauthn",
            "name": "Software passkey",
            "credential_id": encode(self._id),
            "public_key": encode(self._cose_key()),
            "sign_count": 0,
            "transports": ["internal", "hybrid"],
            "backup_eligible": True,
            "aaguid": "00000000-0000-0000-0000-000000000000",
        }

    def answer(self, options: Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Sign a challenge; the answer reads like the browser's `toJSON()`."""
        client_data = json.dumps(
            {
                "type": "webauthn.get",
                "challenge": options["challenge"],
                "origin": origin,
                "crossOrigin": False,
            },
            separators=(",", ":"),
        ).encode()
        rp_id_hash = hashlib.sha256(options["rpId"].encode()).digest()
        data = rp_id_hash + bytes([_FLAGS]) + bytes(4)
        signed = data + hashlib.sha256(client_data).digest()
        return {
            "id": encode(self._id),
            "rawId": encode(self._id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(client_data),
                "authenticatorData": encode(data),
                "signature": encode(self._key.sign(signed, ec.ECDSA(SHA256()))),
            },
        }

    def _cose_key(self) -> bytes:
        # CBOR by hand: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}; RFC 9053 7.1.1.
        point = self._key.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y


class AuthenticatorApp:
    """One secret; it shows the code of the moment (RFC 6238)."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(20)

    def provisioning(self) -> dict[str, Any]:
        """Describe the secret as the admin API takes it."""
        return {
            "type": "totp",
            "name": "Software app",
            "secret": b32encode(self._secret).decode(),
            "algorithm": "SHA1",
            "digits": 6,
            "period": PERIOD,
        }

    def code(self, at: float | None = None) -> str:
        """Return the six digits of a moment, now if none is given."""
        step = int(time.time() if at is None else at) // PERIOD
        digest = hmac.digest(self._secret, struct.pack(">Q", step), "sha1")
        offset = digest[-1] & 0x0F
        number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
        return f"{number % 1_000_000:06}"


def encode(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
