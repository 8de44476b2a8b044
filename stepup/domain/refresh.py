"""Refresh tokens: what one ceremony goes on giving, to whom, and until when.

    (none) --code redeemed--> 0 --used--> 1 --used--> 2 ... until `expires_at`
                              └ used again by somebody else: all of them end

Every use gives the next one. Who authenticated, how and when stays what the ceremony said (RFC 9470
section 6.1), so nothing made of it is good for longer than the ceremony itself would be.
"""

import re
from datetime import datetime, timedelta

import msgspec

from stepup.domain import fapi
from stepup.domain.assurance import Acr, Amr, Ladder
from stepup.domain.authorization import Authorization
from stepup.domain.client import Client
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import InvalidGrantError, InvalidScopeError, InvalidTargetError
from stepup.domain.ids import AuthenticatorId, ChallengeId, ClientId, Handle, Subject

OFFLINE_ACCESS = "offline_access"
# NIST SP 800-63B-4 section 2.3.3: whoever authenticated at AAL3 does it again after 12 hours. It
# bounds what no level does.
LONGEST_REFRESH = timedelta(hours=12)


# The count of uses, and a keyed digest of it and the ceremony: nobody can make up another.
_SECRET = re.compile(r"r(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})")


class RefreshHandle(msgspec.Struct, frozen=True):
    """A refresh token: the ceremony that it belongs to, and how many there were before it.

    On the wire it reads `<region>.<random>.r<count>.<digest>`, so that any region finds the home of
    the state, and no code or `request_uri` can be one.
    """

    challenge_id: ChallengeId
    count: int
    digest: str

    def __str__(self) -> str:
        return str(Handle(self.challenge_id, f"r{self.count}.{self.digest}"))

    def __repr__(self) -> str:
        return f"RefreshHandle({self.challenge_id}, {self.count}, ***)"

    @classmethod
    def parse(cls, text: str) -> "RefreshHandle | None":
        """Read a refresh token; None when the text cannot be one."""
        handle = Handle.parse(text)
        secret = None if handle is None else _SECRET.fullmatch(handle.secret)
        if handle is None or secret is None:
            return None
        return cls(handle.challenge_id, int(secret[1]), secret[2])


class RefreshGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a ceremony goes on giving; written once, when its code is redeemed.

    `confirmation` is what the first access token was bound to, and `is_public` when its client
    proves nothing else about itself. `session_id` is the `sid` of its ID tokens, `authenticators`
    those that passed the ceremony, None where nobody noted them.
    """

    challenge_id: ChallengeId
    client_id: ClientId
    is_public: bool
    subject: Subject
    audience: str
    scope: str
    acr: Acr
    amr: tuple[Amr, ...]
    auth_time: datetime
    expires_at: datetime
    token_lifetime: timedelta
    credential_age: timedelta = timedelta(0)
    fallback_for: Acr | None = None
    confirmation: Confirmation | None = None
    session_id: str | None = None
    authenticators: tuple[AuthenticatorId, ...] | None = None

    def narrowed(self, scope: str | None) -> str:
        """Return the scope of an access token: what was asked for now, in the order granted.

        Each use starts from what was granted at first, so that one who asked for less may have it
        all again (RFC 6749 section 6).

        Raises:
            InvalidScopeError: If it is more than was granted.
        """
        if scope is None:
            return self.scope
        asked, granted = set(scope.split(" ")), self.scope.split(" ")
        if not asked <= set(granted):
            raise InvalidScopeError("A refresh token gives no scope that was not granted before.")
        return " ".join(value for value in granted if value in asked)

    def check_audience(self, resource: str | None) -> None:
        """Refuse another audience than the one that the ceremony was for (RFC 8707 section 2.2).

        Raises:
            InvalidTargetError: If it is another.
        """
        if resource not in {None, self.audience}:
            raise InvalidTargetError("A refresh token is for the resource that was granted.")

    def check_holder(self, client: Client, proof: Confirmation | None) -> None:
        """Refuse who is not the client, or has not the key, that the first token was given to.

        A public client has nothing but its key, so it must be the same one (RFC 9449 section 5,
        RFC 8705 section 4). One that authenticates may have a new key, but not none: whoever was
        given a bound token is never given a bearer token after it.

        Raises:
            InvalidGrantError: If it is somebody else.
        """
        if client.client_id != self.client_id:
            raise InvalidGrantError
        if self.confirmation is None:
            return
        if proof is None or (self.is_public and proof != self.confirmation):
            raise InvalidGrantError("The refresh token is bound to another key.")

    def token_expires_at(self, issued_at: datetime) -> datetime:
        """Return when an access token ends: never after what it was made of."""
        return min(issued_at + self.token_lifetime, self.expires_at)


def may_refresh(client: Client) -> bool:
    """Say whether refresh tokens are given to a client at all.

    FAPI 2.0 section 5.3.2.1 forbids the rotation that ours have, so such a client gets none.
    """
    return client.refresh_tokens and fapi.may_rotate(client.profile)


def refresh_until(
    client: Client, authorization: Authorization, auth_time: datetime, ladder: Ladder
) -> datetime | None:
    """Return until when a ceremony may be refreshed, None when it may not.

    Only where the client asked for it (OpenID Connect Core section 11), and the approval is of a
    level alone: what was approved for one action or once is not for a client to have again. It ends
    when the level would have to be reached anew.
    """
    requirement = authorization.requirement
    asked = OFFLINE_ACCESS in (authorization.scope or "").split(" ")
    bound = authorization.purpose is not None or requirement.once or bool(requirement.bind)
    if not (may_refresh(client) and asked) or bound or requirement.acr not in ladder:
        return None
    lifetime = _least(
        LONGEST_REFRESH,
        ladder.get(requirement.acr).max_age,
        requirement.max_age,
        None if authorization.max_age is None else timedelta(seconds=authorization.max_age),
    )
    return auth_time + lifetime if lifetime else None


def granted_scope(scope: str | None, *, refreshed: bool) -> str | None:
    """Return what is granted of the scope: no `offline_access` without a refresh token."""
    if scope is None or refreshed:
        return scope
    return " ".join(value for value in scope.split(" ") if value != OFFLINE_ACCESS) or None


def _least(first: timedelta, *others: timedelta | None) -> timedelta:
    return min([first, *(each for each in others if each is not None)])
