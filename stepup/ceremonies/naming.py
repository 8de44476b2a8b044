"""The name of a WebAuthn ceremony: computed from what is signed, so that an answer names itself.

A caller that keeps the name sends it back; one that only passes on `toJSON()` need not, because
the client data repeats the challenge.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from stepup.ceremonies import responses
from stepup.ceremonies.responses import Assertion
from stepup.domain.errors import VerificationFailedError
from stepup.domain.ids import CeremonyId


class _ClientData(msgspec.Struct, frozen=True):
    challenge: str


def ceremony_of(webauthn_challenge: bytes) -> CeremonyId:
    """Name the ceremony that signs these bytes; the name does not tell them."""
    return CeremonyId(responses.encode(hashlib.sha256(webauthn_challenge).digest()[:16]))


def answered_ceremony(credential: Mapping[str, object]) -> CeremonyId:
    """Read which ceremony an assertion claims to answer; nothing is verified yet.

    Raises:
        VerificationFailedError: If it is malformed.
    """
    assertion, _ = responses.parse_credential(credential, Assertion)
    raw = responses.decode(assertion.response.client_data)
    try:
        claimed = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"), type=_ClientData)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise VerificationFailedError from None
    return ceremony_of(responses.decode(claimed.challenge))
