"""What is in memory, and who we stand beside."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from stepup.domain.account import (
    BaseIdentity,
    PendingLogin,
)
from stepup.domain.client import Client
from stepup.domain.freshness import Freshness
from stepup.domain.ids import ClientId, DraftId
from stepup.domain.keyring import Keyring
from stepup.domain.policy import Policy
from stepup.domain.signals import SecurityEvent


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """A draft's text that is evaluated beside the active policy, to no effect."""

    draft: DraftId
    digest: str
    policy: Policy


class Snapshot(Protocol):
    """Policy, clients and keys in memory: what runs in every step-up reads them here.

    A change swaps a reference, so one request never sees half of it when it asks once.
    """

    @property
    def policy(self) -> Policy:
        """The active policy.

        Raises:
            DependencyUnavailableError: If none was ever loaded.
        """
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys.

        Raises:
            DependencyUnavailableError: If none were ever loaded.
        """
        ...

    @property
    def shadow(self) -> Shadow | None:
        """The draft that is evaluated beside the policy; None when none is, or none can be read."""
        ...

    @property
    def refused_policy(self) -> str | None:
        """Why a newer version is not the policy here: it cannot be read; None when all is well."""
        ...

    @property
    def freshness(self) -> Freshness:
        """Whether PostgreSQL has confirmed it lately; when unusable everything else raises."""
        ...

    def client(self, client_id: ClientId) -> Client | None:
        """Find a client by its identifier."""
        ...


class Upstreams(Protocol):
    """Who publishes keys elsewhere: identity providers beside which we stand, and clients."""

    async def verify(self, token: str, now: datetime) -> BaseIdentity:
        """Verify a subject token: signature, issuer, audience, algorithm, expiry.

        Raises:
            InvalidSubjectTokenError: If any of it does not hold.
        """
        ...

    async def hear(self, text: str, token: str, now: datetime) -> SecurityEvent:
        """Verify a security event from whoever shows this token, and return what it says.

        It is of the issuer that the token was given to, and of no other.

        Raises:
            SetRefusedError: If nobody has this token, or the event does not hold.
            DependencyUnavailableError: If nobody can say, because the keys are not known.
        """
        ...

    async def login_url(
        self, login: PendingLogin, *, state: str, redirect_uri: str, code_challenge: str
    ) -> str:
        """Return where a browser begins a base login."""
        ...

    async def finish_login(
        self, login: PendingLogin, *, code: str, redirect_uri: str, now: datetime
    ) -> BaseIdentity:
        """Redeem the upstream's code and verify its ID token, nonce included.

        Raises:
            InvalidSubjectTokenError: If the upstream refuses the code or the token does not hold.
        """
        ...

    async def key_set(self, url: str, kid: str | None) -> Sequence[Mapping[str, Any]]:
        """Return the members of the JWK set that a client publishes.

        A set that is known and has no such `kid` is fetched again, though not often. A client
        whose URL is slow holds up its own requests only.

        Raises:
            DependencyUnavailableError: If it cannot be fetched, is no JWK set, or lies where we
                do not go on anybody's word.
        """
        ...
