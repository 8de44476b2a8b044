"""What the account pages keep between two requests: a session, a login and an enrollment."""

from datetime import datetime, timedelta

import msgspec

from stepup.domain.assurance import AuthnContext
from stepup.domain.authenticator import TotpSecret
from stepup.domain.checked_request import CheckedRequest
from stepup.domain.ids import ActionName, AuthenticatorId, ChallengeId, Subject

# An hour of looking after one's authenticators; what changes anything asks for a step-up anyway.
SESSION_LIFETIME = timedelta(hours=1)
LOGIN_LIFETIME = timedelta(minutes=10)
ENROLLMENT_LIFETIME = timedelta(minutes=10)


class BaseIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a subject is before step-up, as an upstream issuer says."""

    subject: Subject
    name: str | None = None
    acr: str | None = None
    auth_time: datetime | None = None


class AccountSession(msgspec.Struct, frozen=True, kw_only=True):
    """A subject signed in to the account pages with base login.

    `elevation` is the last step-up made in this session, and `elevated_for` the action it was made
    for; `elevated_by` are the authenticators that passed it, None when nobody noted them.
    `form_token` stops forged posts.
    """

    identity: BaseIdentity
    form_token: str
    created_at: datetime
    expires_at: datetime
    elevation: AuthnContext | None = None
    elevated_for: ActionName | None = None
    elevated_by: tuple[AuthenticatorId, ...] | None = None


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization request as a browser brought it; nothing in it is checked.

    Or one that its client pushed, which is `checked`.
    """

    parameters: dict[str, str]
    checked: CheckedRequest | None = None

    def __repr__(self) -> str:
        return "KeptRequest(***)"


class PendingLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A base login that was sent to the upstream and has not come back yet.

    `request` is what it is for; None when it is for the account pages.
    """

    issuer: str
    nonce: str
    code_verifier: str
    return_to: str
    request: KeptRequest | None = None


class PendingEnrollment(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticator that was offered and is not confirmed yet.

    Exactly one of `totp` and `webauthn_challenge` is set.
    """

    subject: Subject
    totp: TotpSecret | None = None
    webauthn_challenge: bytes | None = None


class PendingElevation(msgspec.Struct, frozen=True, kw_only=True):
    """A step-up that the account pages started for themselves, and where it leads back to."""

    challenge_id: ChallengeId
    session_digest: str
    code_verifier: str
    return_to: str
