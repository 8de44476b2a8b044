"""WebAuthn ceremonies: options for the browser, and verification of what it sends back.

py_webauthn verifies; the checks of WebAuthn Level 3 sections 7.1 and 7.2 that it lacks are made
here first, so that every refusal has its own reason. Nothing is stored: the caller spends the
challenge before and keeps the counter after.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    aaguid_to_string,
    parse_attestation_object,
    parse_authenticator_data,
)
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorData,
    RegistrationCredential,
)

from stepup.ceremonies import cose, responses
from stepup.ceremonies.refusals import Refusal
from stepup.ceremonies.responses import Assertion, ExpectedClientData, Registration
from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.authenticator import Authenticator, WebAuthnCredential
from stepup.domain.challenge import CEREMONY_LIFETIME
from stepup.domain.errors import SignCountRegressedError, VerificationFailedError
from stepup.domain.ids import Subject

UserVerification = Literal["required", "preferred"]
Hint = Literal["client-device", "hybrid", "security-key"]

_TIMEOUT_MS = int(CEREMONY_LIFETIME.total_seconds() * 1000)
_HINTS: Mapping[str, Hint] = {
    "internal": "client-device",
    "hybrid": "hybrid",
    "cable": "hybrid",
    "usb": "security-key",
    "nfc": "security-key",
    "ble": "security-key",
    "smart-card": "security-key",
}


class VerifiedAssertion(msgspec.Struct, frozen=True, kw_only=True):
    """An assertion that holds: by which authenticator, and what it proved."""

    authenticator: Authenticator
    facts: CeremonyFacts
    sign_count: int
    backed_up: bool


def user_handle(subject: Subject) -> bytes:
    """Return the handle that authenticators keep for a subject; it names nobody to a reader."""
    return hashlib.sha256(f"stepup user handle\0{subject.issuer}\0{subject.sub}".encode()).digest()


def hints_for(authenticators: Sequence[Authenticator], *, device_bound: bool) -> tuple[Hint, ...]:
    """Say which user interface a browser should lead with (UX CH-29)."""
    if device_bound:
        return ("security-key",)
    transports = [t for c in _credentials(authenticators) for t in c.transports]
    return tuple(dict.fromkeys(_HINTS[name] for name in transports if name in _HINTS))


def request_options(
    *,
    rp_id: str,
    webauthn_challenge: bytes,
    authenticators: Sequence[Authenticator],
    user_verification: UserVerification,
    hints: Sequence[str],
) -> dict[str, object]:
    """Build the JSON for `PublicKeyCredential.parseRequestOptionsFromJSON`."""
    return {
        "challenge": responses.encode(webauthn_challenge),
        "timeout": _TIMEOUT_MS,
        "rpId": rp_id,
        "allowCredentials": _descriptors(authenticators),
        "userVerification": user_verification,
        "hints": list(hints),
    }


def creation_options(  # noqa: PLR0913  the browser asks for every one of them
    *,
    rp_id: str,
    rp_name: str,
    webauthn_challenge: bytes,
    user_handle: bytes,
    user_name: str,
    display_name: str,
    existing: Sequence[Authenticator],
) -> dict[str, object]:
    """Build the JSON for `PublicKeyCredential.parseCreationOptionsFromJSON`.

    User verification is preferred, not required: a key without it still reaches the first level.
    """
    return {
        "rp": {"id": rp_id, "name": rp_name},
        "user": {
            "id": responses.encode(user_handle),
            "name": user_name,
            "displayName": display_name,
        },
        "challenge": responses.encode(webauthn_challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": int(a)} for a in cose.ALGORITHMS],
        "timeout": _TIMEOUT_MS,
        "excludeCredentials": _descriptors(existing),
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "preferred",
        },
        "attestation": "none",
    }


def verify_assertion(  # noqa: PLR0913  each is a separate expectation of the server
    credential: Mapping[str, object],
    *,
    expected_challenge: bytes,
    expected_rp_id: str,
    expected_origins: Sequence[str],
    authenticators: Sequence[Authenticator],
    expected_user_handle: bytes,
    require_user_verification: bool,
    expected_top_origins: Sequence[str] = (),
) -> VerifiedAssertion:
    """Verify an assertion by one of the subject's authenticators (Level 3 section 7.2).

    Raises:
        SignCountRegressedError: If everything holds but the signature counter.
        VerificationFailedError: If anything else does not hold; `detail` is a `Refusal`.
    """
    assertion, credential_id = responses.parse_credential(credential, Assertion)
    authenticator, record = _find(authenticators, credential_id)
    _check_user_handle(assertion.response.user_handle, record.user_handle or expected_user_handle)
    expected = ExpectedClientData(
        type="webauthn.get",
        challenge=expected_challenge,
        origins=expected_origins,
        top_origins=expected_top_origins,
    )
    responses.check_client_data(responses.decode(assertion.response.client_data), expected)
    data = _authenticator_data(responses.decode(assertion.response.authenticator_data))
    _check_flags(data, expected_rp_id, require_user_verification=require_user_verification)
    if data.flags.be != record.backup_eligible:
        # Eligibility never changes in the life of a credential (section 6.1.3).
        raise VerificationFailedError(Refusal.BACKUP_ELIGIBILITY)
    _verify_signature(assertion, credential_id, record, expected, expected_rp_id)
    # After the signature: a forged response must not raise an alarm about a clone.
    if (data.sign_count or record.sign_count) and data.sign_count <= record.sign_count:
        raise SignCountRegressedError(authenticator.id, Refusal.SIGN_COUNT)
    return VerifiedAssertion(
        authenticator=authenticator,
        facts=CeremonyFacts(
            method=Method.WEBAUTHN,
            # Whoever finds a key without a PIN can set one: verification counts only where it was
            # there at registration (uvInitialized, Level 3 section 7.2).
            user_verified=data.flags.uv and record.user_verified,
            device_bound=not data.flags.be,
            attested=record.attested,
            aaguid=record.aaguid,
        ),
        sign_count=data.sign_count,
        backed_up=data.flags.bs,
    )


def verify_registration(  # noqa: PLR0913  each is a separate expectation of the server
    credential: Mapping[str, object],
    *,
    expected_challenge: bytes,
    expected_rp_id: str,
    expected_origins: Sequence[str],
    require_user_verification: bool,
    expected_top_origins: Sequence[str] = (),
    attestation_roots: Mapping[str, Sequence[bytes]] | None = None,
) -> WebAuthnCredential:
    """Verify a new credential (Level 3 section 7.1) and return the record to keep.

    Whether the credential is new to everybody is the store's knowledge. A statement must hold, but
    no trust is built on it yet: the record never counts as attested. `attestation_roots` are
    further roots in PEM by attestation format.

    Raises:
        VerificationFailedError: If anything does not hold; `detail` is a `Refusal`.
    """
    registration, credential_id = responses.parse_credential(credential, Registration)
    expected = ExpectedClientData(
        type="webauthn.create",
        challenge=expected_challenge,
        origins=expected_origins,
        top_origins=expected_top_origins,
    )
    responses.check_client_data(responses.decode(registration.response.client_data), expected)
    data = _attested_data(responses.decode(registration.response.attestation_object))
    _check_flags(data, expected_rp_id, require_user_verification=require_user_verification)
    attested = data.attested_credential_data
    if attested is None or attested.credential_id != credential_id:
        raise VerificationFailedError(Refusal.CREDENTIAL_ID)
    try:
        cose.check_public_key(attested.credential_public_key)
    except cose.UnsupportedKeyError:
        raise VerificationFailedError(Refusal.ALGORITHM) from None
    _verify_attestation(registration, credential_id, expected, expected_rp_id, attestation_roots)
    return WebAuthnCredential(
        credential_id=credential_id,
        public_key=attested.credential_public_key,
        sign_count=data.sign_count,
        transports=responses.known_transports(registration.response.transports),
        backup_eligible=data.flags.be,
        backed_up=data.flags.bs,
        user_verified=data.flags.uv,
        attested=False,
        aaguid=aaguid_to_string(attested.aaguid),
    )


def _find(
    authenticators: Sequence[Authenticator], credential_id: bytes
) -> tuple[Authenticator, WebAuthnCredential]:
    for authenticator in authenticators:
        record = authenticator.credential
        if isinstance(record, WebAuthnCredential) and record.credential_id == credential_id:
            return authenticator, record
    raise VerificationFailedError(Refusal.UNKNOWN_CREDENTIAL)


def _check_user_handle(encoded: str | None, expected: bytes) -> None:
    # Some clients send an empty handle for keys that keep none; that says nothing either way.
    if encoded and responses.decode(encoded) != expected:
        raise VerificationFailedError(Refusal.USER_HANDLE)


def _check_flags(
    data: AuthenticatorData, expected_rp_id: str, *, require_user_verification: bool
) -> None:
    if data.rp_id_hash != hashlib.sha256(expected_rp_id.encode()).digest():
        raise VerificationFailedError(Refusal.RP_ID)
    if not data.flags.up:
        raise VerificationFailedError(Refusal.NOT_PRESENT)
    if require_user_verification and not data.flags.uv:
        raise VerificationFailedError(Refusal.NOT_VERIFIED)
    if data.flags.bs and not data.flags.be:
        raise VerificationFailedError(Refusal.BACKUP_STATE)


def _authenticator_data(raw: bytes) -> AuthenticatorData:
    try:
        return parse_authenticator_data(raw)
    except Exception:  # noqa: BLE001  hostile bytes make the library raise many things
        raise VerificationFailedError(Refusal.MALFORMED) from None


def _attested_data(raw: bytes) -> AuthenticatorData:
    try:
        return parse_attestation_object(raw).auth_data
    except Exception:  # noqa: BLE001  hostile bytes make the library raise many things
        raise VerificationFailedError(Refusal.MALFORMED) from None


def _verify_signature(
    assertion: Assertion,
    credential_id: bytes,
    record: WebAuthnCredential,
    expected: ExpectedClientData,
    expected_rp_id: str,
) -> None:
    response = assertion.response
    try:
        cose.check_public_key(record.public_key)
        verify_authentication_response(
            credential=AuthenticationCredential(
                id=assertion.id,
                raw_id=credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=responses.decode(response.client_data),
                    authenticator_data=responses.decode(response.authenticator_data),
                    signature=responses.decode(response.signature),
                ),
            ),
            expected_challenge=expected.challenge,
            expected_rp_id=expected_rp_id,
            expected_origin=list(expected.origins),
            credential_public_key=record.public_key,
            # The library compares the counter before it has seen the signature; we do after.
            credential_current_sign_count=0,
        )
    except VerificationFailedError:
        raise
    except cose.UnsupportedKeyError:
        raise VerificationFailedError(Refusal.ALGORITHM) from None
    except Exception:  # noqa: BLE001  whatever the library raises, the signature is not proved
        raise VerificationFailedError(Refusal.SIGNATURE) from None


def _verify_attestation(
    registration: Registration,
    credential_id: bytes,
    expected: ExpectedClientData,
    expected_rp_id: str,
    roots: Mapping[str, Sequence[bytes]] | None,
) -> None:
    try:
        verify_registration_response(
            credential=RegistrationCredential(
                id=registration.id,
                raw_id=credential_id,
                response=AuthenticatorAttestationResponse(
                    client_data_json=responses.decode(registration.response.client_data),
                    attestation_object=responses.decode(registration.response.attestation_object),
                ),
            ),
            expected_challenge=expected.challenge,
            expected_rp_id=expected_rp_id,
            expected_origin=list(expected.origins),
            supported_pub_key_algs=list(cose.ALGORITHMS),
            pem_root_certs_bytes_by_fmt={
                AttestationFormat(name): list(pems) for name, pems in (roots or {}).items()
            },
        )
    except Exception:  # noqa: BLE001  whatever the library raises, the statement is not proved
        raise VerificationFailedError(Refusal.ATTESTATION) from None


def _credentials(authenticators: Sequence[Authenticator]) -> list[WebAuthnCredential]:
    found = (authenticator.credential for authenticator in authenticators)
    return [record for record in found if isinstance(record, WebAuthnCredential)]


def _descriptors(authenticators: Sequence[Authenticator]) -> list[dict[str, object]]:
    return [
        {
            "type": "public-key",
            "id": responses.encode(record.credential_id),
            "transports": list(record.transports),
        }
        for record in _credentials(authenticators)
    ]
