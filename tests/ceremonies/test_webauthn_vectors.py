"""The fifteen test vectors of WebAuthn Level 3, registrations and assertions.

`REFUSED_*` is the honest list: what we refuse, why, and on purpose or because the library cannot.
`docs/divergences.md` says the same in words.
"""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn.helpers import parse_attestation_object

from stepup.ceremonies import cose, webauthn
from stepup.ceremonies.refusals import Refusal
from stepup.domain.authenticator import WebAuthnCredential
from stepup.domain.errors import VerificationFailedError
from tests.support import vectors
from tests.support.authenticator import encode
from tests.support.builders import an_authenticator

FILE = vectors.load("webauthn-l3-test-vectors")
VECTORS = {vector["title"]: vector for vector in FILE["vectors"]}
ROOT = x509.load_der_x509_certificate(
    bytes.fromhex(FILE["attestation_root"]["attestation_ca_cert"])
)
ROOTS = {name: [ROOT.public_bytes(Encoding.PEM)] for name in ("packed", "apple")}

CROSS_ORIGIN = 'ES256 Credential with "crossOrigin": true in clientDataJSON'
TOP_ORIGIN = 'ES256 Credential with "topOrigin" in clientDataJSON'

REFUSED_ASSERTIONS = {
    # On purpose: nobody may embed our pages.
    CROSS_ORIGIN: Refusal.CROSS_ORIGIN,
    TOP_ORIGIN: Refusal.TOP_ORIGIN,
    # The library cannot verify these, so we do not offer them.
    "Packed Attestation with ES384 Credential": Refusal.ALGORITHM,
    "Packed Attestation with Ed448 Credential": Refusal.ALGORITHM,
}
REFUSED_REGISTRATIONS = REFUSED_ASSERTIONS | {
    # Statements that the library does not take; we ask for none, so no browser sends them.
    "TPM Attestation with ES256 Credential": Refusal.ATTESTATION,
    "Android Key Attestation with ES256 Credential": Refusal.ATTESTATION,
    "FIDO U2F Attestation with ES256 Credential": Refusal.ATTESTATION,
}


def toJSON(vector: dict, ceremony: str) -> dict:  # noqa: N802  the browser's name
    credential_id = from_hex(vector["registration"]["credential_id"])
    members = ("clientDataJSON", "attestationObject", "authenticatorData", "signature")
    response = {
        name: from_hex(vector[ceremony][name]) for name in members if name in vector[ceremony]
    }
    return {"id": credential_id, "rawId": credential_id, "type": "public-key", "response": response}


def from_hex(text: str) -> str:
    return encode(bytes.fromhex(text))


def register(vector: dict, **changes: object) -> WebAuthnCredential:
    expectations = {
        "expected_challenge": bytes.fromhex(vector["registration"]["challenge"]),
        "expected_rp_id": FILE["rp_id"],
        "expected_origins": [FILE["origin"]],
        "require_user_verification": False,
        "attestation_roots": ROOTS,
    }
    return webauthn.verify_registration(toJSON(vector, "registration"), **expectations | changes)


def recorded(vector: dict) -> WebAuthnCredential:
    """Keep the credential whatever its statement is worth: the assertion is in question."""
    data = parse_attestation_object(bytes.fromhex(vector["registration"]["attestationObject"]))
    attested = data.auth_data.attested_credential_data
    assert attested is not None
    return WebAuthnCredential(
        credential_id=attested.credential_id,
        public_key=attested.credential_public_key,
        sign_count=data.auth_data.sign_count,
        backup_eligible=data.auth_data.flags.be,
    )


def answer(vector: dict, **changes: object) -> webauthn.VerifiedAssertion:
    expectations = {
        "expected_challenge": bytes.fromhex(vector["authentication"]["challenge"]),
        "expected_rp_id": FILE["rp_id"],
        "expected_origins": [FILE["origin"]],
        "authenticators": [an_authenticator(recorded(vector))],
        "expected_user_handle": b"",
        "require_user_verification": False,
    }
    return webauthn.verify_assertion(toJSON(vector, "authentication"), **expectations | changes)


def flags(vector: dict) -> int:
    return bytes.fromhex(vector["authentication"]["authenticatorData"])[32]


def test_there_are_fifteen():
    assert len(VECTORS) == 15
    assert set(REFUSED_REGISTRATIONS) < set(VECTORS)


@pytest.mark.parametrize("title", sorted(set(VECTORS) - set(REFUSED_ASSERTIONS)))
def test_verifies_the_assertion(title):
    verified = answer(VECTORS[title])

    assert verified.facts.user_verified is bool(flags(VECTORS[title]) & 0x04)
    assert verified.facts.device_bound is not bool(flags(VECTORS[title]) & 0x08)
    assert verified.backed_up is bool(flags(VECTORS[title]) & 0x10)


@pytest.mark.parametrize(("title", "reason"), REFUSED_ASSERTIONS.items())
def test_refuses_the_assertion(title, reason):
    with pytest.raises(VerificationFailedError) as caught:
        answer(VECTORS[title])

    assert caught.value.detail == reason


@pytest.mark.parametrize("title", sorted(set(VECTORS) - set(REFUSED_REGISTRATIONS)))
def test_verifies_the_registration(title):
    assert register(VECTORS[title]) == WebAuthnCredential(
        credential_id=recorded(VECTORS[title]).credential_id,
        public_key=recorded(VECTORS[title]).public_key,
        backup_eligible=bool(registered_flags(title) & 0x08),
        backed_up=bool(registered_flags(title) & 0x10),
        user_verified=bool(registered_flags(title) & 0x04),
        attested=False,
        aaguid=aaguid_of(title),
    )


def registered_flags(title: str) -> int:
    registration = VECTORS[title]["registration"]
    data = parse_attestation_object(bytes.fromhex(registration["attestationObject"])).auth_data
    return sum(
        bit
        for bit, is_set in ((4, data.flags.uv), (8, data.flags.be), (16, data.flags.bs))
        if is_set
    )


def aaguid_of(title: str) -> str:
    text = VECTORS[title]["registration"]["aaguid"]
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@pytest.mark.parametrize(("title", "reason"), REFUSED_REGISTRATIONS.items())
def test_refuses_the_registration(title, reason):
    with pytest.raises(VerificationFailedError) as caught:
        register(VECTORS[title])

    assert caught.value.detail == reason


def test_offers_no_algorithm_that_a_refused_vector_has():
    options = webauthn.creation_options(
        rp_id="example.org",
        rp_name="Example",
        webauthn_challenge=b"c" * 32,
        user_handle=b"u",
        user_name="alice",
        display_name="Alice",
        existing=[],
    )

    offered = [parameters["alg"] for parameters in options["pubKeyCredParams"]]
    assert offered == [-7, -8, -257, -36] == [int(a) for a in cose.ALGORITHMS]


def test_takes_the_top_origin_of_a_site_that_may_embed_us():
    allowed = {"expected_top_origins": [FILE["top_origin"]]}

    assert register(VECTORS[TOP_ORIGIN], **allowed)
    assert answer(VECTORS[TOP_ORIGIN], **allowed)


def test_refuses_an_embedding_page_that_the_browser_does_not_name():
    with pytest.raises(VerificationFailedError) as caught:
        answer(VECTORS[CROSS_ORIGIN], expected_top_origins=[FILE["top_origin"]])

    assert caught.value.detail == Refusal.CROSS_ORIGIN


@pytest.mark.parametrize("title", sorted(set(VECTORS) - set(REFUSED_ASSERTIONS)))
def test_refuses_the_assertion_with_one_changed_bit(title):
    vector = VECTORS[title]
    signature = bytearray.fromhex(vector["authentication"]["signature"])
    signature[-1] ^= 1
    changed = {
        **vector,
        "authentication": vector["authentication"] | {"signature": signature.hex()},
    }

    with pytest.raises(VerificationFailedError) as caught:
        answer(changed)

    assert caught.value.detail == Refusal.SIGNATURE
