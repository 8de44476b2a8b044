"""A software WebAuthn authenticator: registers, signs, and lies when a test tells it to.

It is written from the standard, not from our verifier, and speaks the JSON of a browser's
`toJSON()`, so the same object answers a function and an HTTP endpoint. Options come in as the
service sends them; a `Lie` changes one thing about the answer.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

_USER_PRESENT, _USER_VERIFIED = 0x01, 0x04
_BACKUP_ELIGIBLE, _BACKED_UP = 0x08, 0x10
_ATTESTED_DATA = 0x40

Algorithm = Literal["ES256", "EdDSA"]
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lie:
    """What the browser or the authenticator says otherwise than it should; None is the truth."""

    type: str | None = None
    origin: str | None = None
    challenge: bytes | None = None
    cross_origin: object = None
    top_origin: object = None
    rp_id: str | None = None
    user_present: bool | None = None
    user_verified: bool | None = None
    backup_eligible: bool | None = None
    backed_up: bool | None = None
    sign_count: int | None = None
    user_handle: bytes | None = None
    credential_id: bytes | None = None
    signature: bytes | None = None
    byte_order_mark: bool = False


TRUTH = Lie()


@dataclass(kw_only=True)
class SoftwareAuthenticator:
    """One authenticator holding one credential."""

    origin: str
    algorithm: Algorithm = "ES256"
    user_present: bool = True
    user_verified: bool = True
    backup_eligible: bool = False
    backed_up: bool = False
    sign_count: int = 0
    """Zero means that it does not count, as synced passkeys do not."""
    aaguid: bytes = bytes(16)
    transports: tuple[str, ...] = ("internal",)
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes | None = None
    _key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        is_es256 = self.algorithm == "ES256"
        self._key = (
            ec.generate_private_key(ec.SECP256R1()) if is_es256 else Ed25519PrivateKey.generate()
        )

    @property
    def public_key(self) -> bytes:
        """The COSE form of the public key (RFC 9053 section 7)."""
        if isinstance(self._key, Ed25519PrivateKey):
            raw = self._key.public_key().public_bytes_raw()
            return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: raw})
        point = self._key.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def provisioning(self) -> Json:
        """Describe the credential as `POST /v1/admin/subjects/{subject}/authenticators` wants."""
        return {
            "type": "webauthn",
            "credential_id": encode(self.credential_id),
            "public_key": encode(self.public_key),
            "sign_count": self.sign_count,
            "transports": list(self.transports),
            "backup_eligible": self.backup_eligible,
            "aaguid": str(UUID(bytes=self.aaguid)),
        }

    def register(self, options: Mapping[str, Any], lie: Lie = TRUTH) -> Json:
        """Answer creation options with attestation "none", as `navigator.credentials.create`."""
        self.user_handle = decode(options["user"]["id"])
        challenge = decode(options["challenge"])
        client_data = self._client_data("webauthn.create", challenge, lie)
        data = self._authenticator_data(options["rp"]["id"], lie, extra_flags=_ATTESTED_DATA)
        credential_id = lie.credential_id or self.credential_id
        data += self.aaguid + len(credential_id).to_bytes(2, "big") + credential_id
        statement = {"fmt": "none", "attStmt": {}, "authData": data + self.public_key}
        response = {
            "clientDataJSON": encode(client_data),
            "attestationObject": encode(cbor2.dumps(statement)),
            "transports": list(self.transports),
        }
        return self._credential(response, credential_id)

    def answer(self, options: Mapping[str, Any], lie: Lie = TRUTH) -> Json:
        """Answer request options, as `navigator.credentials.get`."""
        if self.sign_count:
            self.sign_count += 1
        challenge = decode(options["challenge"])
        client_data = self._client_data("webauthn.get", challenge, lie)
        data = self._authenticator_data(options["rpId"], lie)
        signature = lie.signature or self._sign(data + hashlib.sha256(client_data).digest())
        response = {
            "clientDataJSON": encode(client_data),
            "authenticatorData": encode(data),
            "signature": encode(signature),
        }
        handle = self.user_handle if lie.user_handle is None else lie.user_handle
        if handle is not None:
            response["userHandle"] = encode(handle)
        return self._credential(response, lie.credential_id or self.credential_id)

    def twin(self) -> "SoftwareAuthenticator":
        """Return a clone: same key, same counter, counting on its own from here."""
        clone = replace(self)
        clone._key = self._key
        return clone

    def _client_data(self, kind: str, challenge: bytes, lie: Lie) -> bytes:
        data: Json = {
            "type": lie.type or kind,
            "challenge": encode(lie.challenge or challenge),
            "origin": lie.origin or self.origin,
            "crossOrigin": False if lie.cross_origin is None else lie.cross_origin,
        }
        if lie.top_origin is not None:
            data["topOrigin"] = lie.top_origin
        text = json.dumps(data, separators=(",", ":")).encode()
        return b"\xef\xbb\xbf" + text if lie.byte_order_mark else text

    def _authenticator_data(self, rp_id: str, lie: Lie, *, extra_flags: int = 0) -> bytes:
        said = {
            _USER_PRESENT: _either(lie.user_present, self.user_present),
            _USER_VERIFIED: _either(lie.user_verified, self.user_verified),
            _BACKUP_ELIGIBLE: _either(lie.backup_eligible, self.backup_eligible),
            _BACKED_UP: _either(lie.backed_up, self.backed_up),
        }
        flags = sum(flag for flag, is_set in said.items() if is_set) | extra_flags
        count = self.sign_count if lie.sign_count is None else lie.sign_count
        rp_id_hash = hashlib.sha256((lie.rp_id or rp_id).encode()).digest()
        return rp_id_hash + bytes([flags]) + count.to_bytes(4, "big")

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        return self._key.sign(data, ec.ECDSA(SHA256()))

    def _credential(self, response: Json, credential_id: bytes) -> Json:
        return {
            "id": encode(credential_id),
            "rawId": encode(credential_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _either(lie: bool | None, truth: bool) -> bool:
    return truth if lie is None else lie
