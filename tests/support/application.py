"""The application over memory ports, and a client that calls it without a network."""

from collections.abc import Mapping

import httpx2
from litestar.types import ASGIApp
from typing_extensions import override

from stepup.crypto import keys
from stepup.domain.assurance import DEFAULT_LADDER
from stepup.domain.client import Client, Role
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.freshness import Freshness
from stepup.domain.ids import ClientId
from stepup.domain.keyring import Keyring, KeyState, KeyUse
from stepup.domain.policy import Policy
from stepup.domain.site import Site
from stepup.ports import Ports, Shadow, Snapshot, Upstreams
from stepup.usecases.clients import secret_digest
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.memory import memory_database, memory_state
from tests.support.memory_revocations import known_revocations

ONE_RING = {KeyUse.TOKEN: ("ES256",)}
"""For tests of what happens in every ring alike."""

CLIENT_SECRET = "a-secret-of-full-entropy"
ISSUER = "https://stepup.example"


class HeldSnapshot(Snapshot):
    """What a test puts in; None stands for never loaded."""

    def __init__(
        self,
        policy: Policy | None = None,
        keyring: Keyring | None = None,
        clients: Mapping[ClientId, Client] | None = None,
    ) -> None:
        self.held_policy = policy
        self.held_keyring = keyring
        self.clients = dict(clients or {})
        self.held_freshness = Freshness.FRESH
        self.held_shadow: Shadow | None = None
        self.held_refusal: str | None = None

    @property
    @override
    def policy(self) -> Policy:
        if self.held_policy is None:
            raise DependencyUnavailableError
        return self.held_policy

    @property
    @override
    def keyring(self) -> Keyring:
        if self.held_keyring is None:
            raise DependencyUnavailableError
        return self.held_keyring

    @property
    @override
    def shadow(self) -> Shadow | None:
        return self.held_shadow

    @property
    @override
    def refused_policy(self) -> str | None:
        return self.held_refusal

    @property
    @override
    def freshness(self) -> Freshness:
        return self.held_freshness

    @override
    def client(self, client_id: ClientId) -> Client | None:
        return self.clients.get(client_id)


class NoUpstreams(Upstreams):
    """No identity provider is configured."""


def a_keyring() -> Keyring:
    """Return a keyring of one fresh key."""
    signing = keys.generate_signing_key("ES256", state=KeyState.ACTIVE)
    return Keyring(keys=(signing,), root=b"r" * 32)


def a_policy(**changes: object) -> Policy:
    fields: dict = {"version": 1, "ladder": DEFAULT_LADDER, "actions": {}}
    return Policy(**fields | changes)


def a_site(**changes: object) -> Site:
    fields: dict = {
        "issuer": ISSUER,
        "region": "r1",
        "rp_id": "stepup.example",
        "rp_name": "stepup",
        "origins": (ISSUER,),
        "subject_issuer": "https://idp.example",
        "other_subject_issuers": ("https://other.example",),
    }
    return Site(**fields | changes)


def a_client(keyring: Keyring, client_id: str = "bank", **changes: object) -> Client:
    """Return a client whose secret is CLIENT_SECRET."""
    name = ClientId(client_id)
    fields: dict = {
        "client_id": name,
        "name": "Bank",
        "secret_digests": (secret_digest(keyring, name, CLIENT_SECRET),),
        "roles": frozenset(Role),
    }
    return Client(**fields | changes)


def memory_ports(
    *,
    site: Site | None = None,
    snapshot: Snapshot | None = None,
    upstreams: Upstreams | None = None,
    clock: StillClock | None = None,
) -> Ports:
    """Return ports in memory with a key, an empty policy and the client `bank`."""
    clock = clock or StillClock()
    if snapshot is None:
        keyring = a_keyring()
        bank = a_client(keyring)
        snapshot = HeldSnapshot(a_policy(), keyring, {bank.client_id: bank})
    return Ports(
        clock=clock,
        entropy=CountingEntropy(),
        site=site or a_site(),
        snapshot=snapshot,
        revocations=known_revocations(),
        state=memory_state(clock),
        database=memory_database(clock),
        upstreams=upstreams or NoUpstreams(),
    )


def calling(app: ASGIApp) -> httpx2.AsyncClient:
    """Return a client of the application; redirects are for the test to follow."""
    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url=ISSUER)
