"""F17: signing keys rotate under load, and no verifier meets a key that it does not know.

Three instances sign and publish, one of them cut off from PostgreSQL for as long as it may go on
at all; three verifiers ask for keys as seldom as they may. Simulated time, the real rules, key
sets and SDK.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
import pytest
from typing_extensions import override

from stepup.crypto import tokens
from stepup.crypto.sealing import Sealer
from stepup.domain.key_life import KeyRules
from stepup.domain.keyring import SIGNING_USES, KeyPlan, Keyring, KeyState, Ring
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.sdk.client import ALGORITHMS
from stepup.sdk.keys import KeySet
from stepup.usecases import keys, rotate
from stepup.usecases.tend_keys import tend
from tests.support.application import ONE_RING, a_site, memory_ports
from tests.support.determinism import StillClock

SEALER = Sealer({1: bytes(32)}, lambda count: bytes(range(count)))
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
STEP = 5 * MINUTE
RULES = KeyRules(lifetime=36 * HOUR)
RINGS = KeyPlan(region="r1").rings


class Instance:
    """Keys in memory, as old as the last time PostgreSQL was heard."""

    def __init__(self) -> None:
        self.keyring: Keyring | None = None
        self.heard_at: datetime | None = None

    def hear(self, keyring: Keyring, now: datetime) -> None:
        self.keyring, self.heard_at = keyring, now

    def serves(self, now: datetime, rules: KeyRules) -> bool:
        return self.heard_at is not None and now - self.heard_at <= rules.heard_within

    def jwks(self) -> bytes:
        assert self.keyring is not None
        return msgspec.json.encode(tokens.jwks(self.keyring))

    def sign(self) -> Iterator[str]:
        """Sign something of every kind, with every algorithm that can be asked for."""
        assert self.keyring is not None
        for use, algorithm, _region in self.keyring.plan.rings:
            with suppress(LookupError):
                yield self.keyring.signer(use, algorithm).id


class Verifier(KeySet):
    """The SDK's key set, renewed as seldom as its application allows and never in between."""

    def __init__(self, every: timedelta, clock: StillClock) -> None:
        super().__init__("", self._never, ALGORITHMS, clock=lambda: clock.now().timestamp())
        self.every = every
        self.renewed_at: datetime | None = None

    def ask(self, instance: Instance, now: datetime) -> None:
        if self.renewed_at is None or now - self.renewed_at >= self.every:
            self.load(instance.jwks())
            self.renewed_at = now

    def knows(self, kid: str) -> bool:
        return self.peek(kid) is not None

    @staticmethod
    def _never(_url: str) -> bytes:
        raise AssertionError("a verifier met an unknown key and asked for it")

    @override
    def _renew_in_background(self) -> None:
        """Its application does that."""


class Fleet:
    """A day in the life of a deployment is 288 steps."""

    def __init__(self, rules: KeyRules) -> None:
        self.rules = rules
        self.clock = StillClock()
        self.ports = memory_ports(clock=self.clock)
        self.opened: tuple[int, Keyring] | None = None
        self.connected, self.cut_off = [Instance(), Instance()], Instance()
        # What obeys max-age and stale-while-revalidate; what asks now and then; the slowest one.
        self.obedient = Verifier(15 * MINUTE, self.clock)
        self.lazy = [
            Verifier(6 * HOUR, self.clock),
            Verifier(rules.announced_for - STEP, self.clock),
        ]
        self.alive: list[tuple[datetime, str]] = []
        self.unknown: list[str] = []
        self.signed_with: set[str] = set()

    async def run(self, span: timedelta) -> None:
        for number in range(int(span / STEP)):
            await tend(self.ports, SEALER, self.rules)
            await self.step(number)
            self.clock.advance(STEP)

    async def step(self, number: int) -> None:
        now = self.clock.now()
        keyring = await self.keyring()
        for instance in self.connected:
            instance.hear(keyring, now)
        if not self.cut_off.serves(now, self.rules):  # it was restarted, and is cut off again
            self.cut_off.hear(keyring, now)
        signing = [*self.connected, self.cut_off]
        self.alive = [(until, kid) for until, kid in self.alive if now < until]
        kids = {kid for instance in signing for kid in instance.sign()}
        self.alive += [(now + MAX_TOKEN_LIFETIME, kid) for kid in kids]
        self.signed_with |= kids
        # One that obeys may be answered by any instance; the lazy ones by those that are well.
        self.obedient.ask(signing[number % 3], now)
        for verifier in self.lazy:
            verifier.ask(self.connected[number % 2], now)
        self.unknown += list(self.not_known())

    def not_known(self) -> Iterator[str]:
        for verifier in (self.obedient, *self.lazy):
            yield from (kid for _, kid in self.alive if not verifier.knows(kid))

    async def keyring(self) -> Keyring:
        version = await self.ports.database.configuration_version()
        if self.opened is None or self.opened[0] != version:
            async with self.ports.database.transaction() as stores:
                plan = self.ports.site.key_plan
                self.opened = version, await keys.read_keyring(stores, SEALER, plan)
        return self.opened[1]

    def gone(self) -> int:
        rows = self.ports.database.tables.keys.values()
        return sum(key.state is KeyState.GONE for key in rows)


@pytest.fixture
async def fleet() -> Fleet:
    fleet = Fleet(RULES)
    await keys.ensure_keys(fleet.ports, SEALER)
    return fleet


async def test_no_verifier_meets_an_unknown_key_through_rotations_under_load(fleet: Fleet):
    await fleet.run(8 * DAY)

    assert fleet.unknown == []
    assert len(fleet.signed_with) >= 5 * len(RINGS)
    assert fleet.gone() >= 3 * len(RINGS)


async def test_nor_when_an_operator_asks_for_it(fleet: Fleet):
    for _ in range(3):
        for ring in RINGS:
            await rotate.rotate(fleet.ports, SEALER, ring)
        await fleet.run(26 * HOUR)

    assert fleet.unknown == []
    assert len(fleet.signed_with) == 4 * len(RINGS)


@pytest.mark.parametrize("ring", RINGS, ids=str)
async def test_nor_when_an_active_key_leaks_and_the_next_one_must_sign_at_once(
    fleet: Fleet, ring: Ring
):
    await fleet.run(30 * HOUR)
    fleet.cut_off.heard_at = None  # what it goes on signing with is refused, and should be
    leaked = (await fleet.keyring()).signer(ring.use, ring.algorithm).id
    await rotate.revoke(fleet.ports, SEALER, leaked, RULES)
    fleet.alive.clear()
    await fleet.run(2 * HOUR)

    assert fleet.unknown == []


async def test_nor_when_a_release_with_one_ring_is_upgraded_and_the_others_come_to_it():
    fleet = Fleet(RULES)
    fleet.ports = memory_ports(
        clock=fleet.clock, site=a_site(region="", signing_algorithms=ONE_RING)
    )
    await keys.ensure_keys(fleet.ports, SEALER)
    await fleet.run(2 * HOUR)
    one = fleet.signed_with.copy()
    fleet.ports = fleet.ports._replace(site=a_site())
    await fleet.run(20 * HOUR)
    assert fleet.signed_with == one
    await fleet.run(6 * HOUR)
    await fleet.run(2 * DAY)

    assert fleet.unknown == []
    assert len(fleet.signed_with) >= 2 * len(RINGS)


async def test_nor_when_a_region_is_added(fleet: Fleet):
    await fleet.run(2 * HOUR)
    fleet.ports = fleet.ports._replace(site=a_site(region="r2"))
    fleet.opened = None
    await fleet.run(20 * HOUR)
    assert len(fleet.signed_with) == len(RINGS)
    await fleet.run(6 * HOUR)

    assert fleet.unknown == []
    assert {key.region for key in (await fleet.keyring()).keys} == {"r1", "r2"}
    assert len(fleet.signed_with) == 2 * len(RINGS)


async def test_nor_when_a_setting_names_another_algorithm(fleet: Fleet):
    algorithms = dict.fromkeys(SIGNING_USES, ("EdDSA",))
    fleet.ports = fleet.ports._replace(site=a_site(signing_algorithms=algorithms))
    fleet.opened = None
    await fleet.run(2 * DAY)

    assert fleet.unknown == []
    assert (await fleet.keyring()).active.algorithm == "EdDSA"


async def test_without_the_announcement_verifiers_meet_unknown_keys(fleet: Fleet):
    """The control: otherwise the tests above are blind."""
    await fleet.run(HOUR)
    for _ in range(2):  # the second finds no key that lies ready
        await rotate.rotate_at_once(fleet.ports, SEALER, force=True)
    await fleet.run(HOUR)

    assert fleet.unknown


async def test_with_a_removal_that_forgets_who_was_cut_off_tokens_are_orphaned(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
):
    """The control of `retiring`: everything but the time for which an instance may be unheard."""
    retiring = RULES.retiring_for - RULES.heard_within
    monkeypatch.setattr(KeyRules, "retiring_for", retiring)
    await fleet.run(4 * DAY)

    assert fleet.unknown


def test_the_sdk_asks_once_for_a_key_that_it_does_not_know_and_goes_on():
    """In an emergency without an announced key: one question, no failure."""
    old, new = (Fleet(RULES) for _ in range(2))
    documents = [fleet_jwks(old), fleet_jwks(new)]
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return documents[0]

    held = KeySet("https://stepup.example/jwks", fetch)
    assert held.find(kid_of(documents[0])) is not None
    documents.reverse()
    assert held.find(kid_of(documents[0])) is not None
    assert len(asked) == 2


def fleet_jwks(fleet: Fleet) -> bytes:
    return msgspec.json.encode(tokens.jwks(fleet.ports.snapshot.keyring))


def kid_of(document: bytes) -> str:
    return str(msgspec.json.decode(document)["keys"][0]["kid"])
