"""What a browser sends after a ceremony: its JSON forms, decoded strictly, and client data.

py_webauthn knows neither `crossOrigin` nor `topOrigin` and takes any JSON value for them, so the
client data is checked here before the library sees it (WebAuthn Level 3 sections 7.1 and 7.2).
"""

import binascii
import codecs
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec

from stepup.ceremonies.refusals import Refusal
from stepup.domain.errors import VerificationFailedError

# WebAuthn Level 3 section 7.1 step 25 (credential id at most 1023 bytes).
MAX_CREDENTIAL_ID_BYTES = 1023
# Section 13.5.3: random challenges of at least 16 bytes.
MIN_CHALLENGE_BYTES = 16

# Real ones have a few hundred characters, with a TPM's certificates a few thousand.
Encoded = Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
Transports = Annotated[tuple[str, ...], msgspec.Meta(max_length=16)]
TRANSPORTS = ("usb", "nfc", "ble", "smart-card", "hybrid", "internal", "cable")


class AssertionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`AuthenticatorAssertionResponseJSON`."""

    client_data: Encoded = msgspec.field(name="clientDataJSON")
    authenticator_data: Encoded
    signature: Encoded
    user_handle: str | None = None


class AttestationResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`AuthenticatorAttestationResponseJSON`; what a browser computed from it is not read."""

    client_data: Encoded = msgspec.field(name="clientDataJSON")
    attestation_object: Encoded
    transports: Transports = ()


class _Credential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: Encoded
    raw_id: Encoded
    type: Literal["public-key"]


class Assertion(_Credential, frozen=True, kw_only=True):
    """`AuthenticationResponseJSON`, the `toJSON()` of a credential that was got."""

    response: AssertionResponse


class Registration(_Credential, frozen=True, kw_only=True):
    """`RegistrationResponseJSON`, the `toJSON()` of a credential that was created."""

    response: AttestationResponse


class _ClientData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    type: str
    challenge: str
    origin: str
    cross_origin: bool = False
    top_origin: str | msgspec.UnsetType = msgspec.UNSET


class ExpectedClientData(msgspec.Struct, frozen=True, kw_only=True):
    """What the server knows about the ceremony that the client data must agree with.

    `top_origins` are the sites that may embed our pages; there are none unless a client
    registered for it.
    """

    type: Literal["webauthn.create", "webauthn.get"]
    challenge: bytes
    origins: Sequence[str]
    top_origins: Sequence[str] = ()


_client_data = msgspec.json.Decoder(_ClientData)
CredentialT = TypeVar("CredentialT", Assertion, Registration)


def parse_credential(
    credential: Mapping[str, object], form: type[CredentialT]
) -> tuple[CredentialT, bytes]:
    """Decode the JSON form of a credential, and its identifier.

    Members that we do not know are left alone, as the standard wants.

    Raises:
        VerificationFailedError: If it is malformed.
    """
    try:
        parsed = msgspec.convert(dict(credential), form)
    except (msgspec.ValidationError, TypeError, ValueError):
        raise VerificationFailedError(Refusal.MALFORMED) from None
    credential_id = decode(parsed.raw_id)
    if parsed.id != parsed.raw_id or len(credential_id) > MAX_CREDENTIAL_ID_BYTES:
        raise VerificationFailedError(Refusal.CREDENTIAL_ID)
    return parsed, credential_id


def check_client_data(raw: bytes, expected: ExpectedClientData) -> None:
    """Compare client data with what the server knows.

    Raises:
        VerificationFailedError: If anything differs; `detail` says what.
    """
    data = _parse_client_data(raw)
    if data.type != expected.type:
        raise VerificationFailedError(Refusal.WRONG_TYPE)
    # A caller that lost its challenge must not be satisfied by a response without one.
    if len(expected.challenge) < MIN_CHALLENGE_BYTES or not hmac.compare_digest(
        decode(data.challenge), expected.challenge
    ):
        raise VerificationFailedError(Refusal.CHALLENGE)
    if data.origin not in expected.origins:
        raise VerificationFailedError(Refusal.ORIGIN)
    if data.top_origin is not msgspec.UNSET:
        if data.top_origin not in expected.top_origins:
            raise VerificationFailedError(Refusal.TOP_ORIGIN)
    elif data.cross_origin:
        # Without a topOrigin nobody can say who embedded the page, so nothing can permit it.
        raise VerificationFailedError(Refusal.CROSS_ORIGIN)


def decode(text: str) -> bytes:
    """Read base64url without padding, in its one canonical form.

    Raises:
        VerificationFailedError: If it is anything else.
    """
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise VerificationFailedError(Refusal.MALFORMED) from None
    if encode(data) != text:
        raise VerificationFailedError(Refusal.MALFORMED)
    return data


def encode(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def known_transports(transports: Sequence[str]) -> tuple[str, ...]:
    """Keep the transports we know, each once; a browser may send newer ones."""
    return tuple(name for name in TRANSPORTS if name in transports)


def _parse_client_data(raw: bytes) -> _ClientData:
    # Level 3 says "UTF-8 decode", which strips a byte order mark; the library would also take
    # UTF-16, which no browser writes.
    text = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return _client_data.decode(text.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise VerificationFailedError(Refusal.MALFORMED) from None
