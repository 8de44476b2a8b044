"""Which refused passkey the browser's password manager may be told to forget.

Telling too much would hide a passkey that still works, so each doubt means silence.
"""

from collections.abc import Mapping

from stepup.ceremonies import responses, webauthn
from stepup.ceremonies.responses import Assertion
from stepup.crypto import digests
from stepup.domain.authenticator import WebAuthnCredential
from stepup.domain.challenge import Challenge
from stepup.domain.errors import DependencyUnavailableError, VerificationFailedError
from stepup.ports import Ports


async def unknown_passkey(
    ports: Ports, challenge: Challenge, credential: Mapping[str, object]
) -> str | None:
    """Return the credential's identifier if it was made for this subject and is not kept here."""
    subject = challenge.authorization.subject
    try:
        assertion, credential_id = responses.parse_credential(credential, Assertion)
        handle = responses.decode(assertion.response.user_handle or "")
    except VerificationFailedError:
        return None
    # Without the handle it could be another subject's, which works where that one is asked.
    if not digests.equal(handle, webauthn.user_handle(subject)):
        return None
    try:
        enrolled = await ports.database.authenticators_of(subject)
    except DependencyUnavailableError:
        return None
    kept = {
        authenticator.credential.credential_id
        for authenticator in (*challenge.authenticators, *enrolled)
        if isinstance(authenticator.credential, WebAuthnCredential)
    }
    return None if credential_id in kept else assertion.id
