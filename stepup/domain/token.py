"""What an elevated token says, how long it lives, and when it is spent."""

from datetime import datetime, timedelta

import msgspec

from stepup.domain.assurance import Acr, Amr, Approval, AuthnContext
from stepup.domain.confirmation import Confirmation
from stepup.domain.ids import (
    ActionName,
    AuthenticatorId,
    ChallengeId,
    ClientId,
    Subject,
    TokenId,
)


class StatusReference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the status of a token is published: a place in a list (Token Status List 6.2)."""

    index: int
    uri: str


class ElevatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived proof that a subject met an acr for an action.

    `auth_time` is the time of the step-up ceremony, not of the base login. `txn` names the
    ceremony in every log that sees the token (RFC 9068, RFC 8417 section 2.2). `credential_age` and
    `fallback_for` mean what they mean of an approval. `confirmation` is the key that it is bound
    to, None for a bearer token. `authenticators` are those that gave it, which it says to us alone;
    None in a token of a release that did not note them.
    """

    id: TokenId
    challenge_id: ChallengeId
    client_id: ClientId
    subject: Subject
    audience: str
    acr: Acr
    amr: tuple[Amr, ...]
    auth_time: datetime
    issued_at: datetime
    expires_at: datetime
    action: ActionName | None = None
    bound_digest: str | None = None
    once: bool = False
    credential_age: timedelta = timedelta(0)
    fallback_for: Acr | None = None
    scope: str | None = None
    confirmation: Confirmation | None = None
    status: StatusReference | None = None
    authenticators: tuple[AuthenticatorId, ...] | None = None

    @property
    def txn(self) -> str:
        """The transaction that audit events and signals share with this token."""
        return str(self.challenge_id)

    @property
    def token_type(self) -> str:
        """The scheme that it is shown with.

        RFC 9449 section 5; one that is bound to a certificate is called Bearer (RFC 8705 section 3).
        """
        is_dpop = self.confirmation is not None and self.confirmation.jkt is not None
        return "DPoP" if is_dpop else "Bearer"

    @property
    def approval(self) -> Approval:
        """What it approves."""
        context = AuthnContext(
            acr=self.acr,
            amr=self.amr,
            auth_time=self.auth_time,
            credential_age=self.credential_age,
        )
        return Approval(
            context=context,
            action=self.action,
            bound_digest=self.bound_digest,
            once=self.once,
            fallback_for=self.fallback_for,
        )
