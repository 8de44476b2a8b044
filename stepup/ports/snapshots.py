"""Copies of what lies in PostgreSQL, kept where an instance finds them while it is away."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec

from stepup.domain.authenticator import Authenticator
from stepup.domain.client import Client
from stepup.domain.ids import Subject
from stepup.domain.keyring import SealedKey
from stepup.ports.policies import PolicyVersion, ShadowPolicy


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Policy, clients and keys as they lie in PostgreSQL, read in one transaction.

    `version` grows with every change of any of them; `issuer` names the deployment. What a newer
    release adds has a default, and an older one passes over it: they read each other's copies.
    """

    issuer: str
    version: int
    policy: PolicyVersion
    clients: tuple[Client, ...]
    keys: tuple[SealedKey, ...]
    shadow: ShadowPolicy | None = None

    def __repr__(self) -> str:
        return f"Configuration({self.version})"


class Confirmation(NamedTuple):
    """Which version PostgreSQL confirmed as its own, and when it was last asked."""

    issuer: str
    version: int
    at: datetime


ILLEGIBLE = -1
"""In place of a version: whatever stands there and cannot be opened here."""


class SnapshotStore(Protocol):
    """The configuration, sealed: an instance can start with it while PostgreSQL is away.

    It opens in its own deployment and under its own version only, and no other moment can be put
    to it: what somebody puts back is as old as it was. What cannot be opened counts as not there.
    """

    async def find(self, issuer: str) -> tuple[Configuration, datetime] | None:
        """Return what is kept for a deployment, and when PostgreSQL confirmed it last."""
        ...

    async def confirmation(self, issuer: str) -> Confirmation | None:
        """Say what is kept without reading it."""
        ...

    async def put(
        self, configuration: Configuration, confirmed_at: datetime, *, in_place_of: int = 0
    ) -> bool:
        """Keep a configuration; False when another that is newer stands there.

        A newer one gives way only when it is the version `in_place_of`: PostgreSQL was restored. One
        that calls itself newer and cannot be opened gives way to `ILLEGIBLE` alone: another key may
        open it, so PostgreSQL is asked before.
        """
        ...

    async def confirm(self, confirmation: Confirmation) -> bool:
        """Note that what is kept was confirmed again; False when another version stands there."""
        ...


class FillPlace(msgspec.Struct, frozen=True):
    """How far the cache was filled: after which subject, and when it goes on at the earliest."""

    after: str
    not_before: datetime


BEGINNING = FillPlace("", datetime.fromtimestamp(0, UTC))
"""Where filling begins."""


class CredentialCache(Protocol):
    """A subject's authenticators as PostgreSQL had them, sealed, for a day.

    What is not here is unknown, never "none".
    """

    async def find(self, subject: Subject) -> Sequence[Authenticator] | None:
        """Return a subject's authenticators, None when they are not known here."""
        ...

    async def put(
        self, subject: Subject, authenticators: Sequence[Authenticator], read_at: datetime
    ) -> None:
        """Keep what was read, for a day from then; nothing at all is forgotten, not kept."""
        ...

    async def forget(self, subject: Subject) -> None:
        """Keep nothing of a subject."""
        ...

    async def place(self) -> FillPlace:
        """Return how far the cache was filled; the very beginning when nobody knows."""
        ...

    async def keep_place(self, place: FillPlace) -> None:
        """Note how far the cache was filled, for whoever goes on."""
        ...
