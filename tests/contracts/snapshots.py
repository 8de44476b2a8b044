"""What `SnapshotStore` and `CredentialCache` promise."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.client import Client
from stepup.domain.ids import ClientId, KeyId
from stepup.domain.keyring import KeyState, KeyUse, SealedKey
from stepup.ports import Configuration, Confirmation, FillPlace, PolicyVersion, State
from stepup.ports.snapshots import ILLEGIBLE
from tests.support.builders import a_subject, an_authenticator
from tests.support.determinism import NOON, StillClock

ISSUER = "https://stepup.example"
DAY = timedelta(hours=24)
LATER = NOON + timedelta(seconds=10)


def a_configuration(version: int, document: str = "a document") -> Configuration:
    """A configuration with one of everything."""
    return Configuration(
        issuer=ISSUER,
        version=version,
        policy=PolicyVersion(version=3, document=document, author="carol", activated_at=NOON),
        clients=(Client(client_id=ClientId("bank"), name="Bank", secret_digests=(b"\x01",)),),
        keys=(
            SealedKey(
                id=KeyId("k1"),
                use=KeyUse.TOKEN,
                algorithm="ES256",
                state=KeyState.ACTIVE,
                public_jwk={"kty": "EC"},
                sealed_private_key=b"\x00sealed",
                created_at=NOON,
            ),
        ),
    )


class SnapshotStoreContract:
    """Subclass it and provide `states`: one state without a snapshot, seen through two clients."""

    async def test_keeps_nothing_before_the_first(self, states: tuple[State, State]):
        assert await states[0].snapshots.find(ISSUER) is None
        assert await states[0].snapshots.confirmation(ISSUER) is None
        assert not await states[0].snapshots.confirm(Confirmation(ISSUER, 1, NOON))

    async def test_returns_what_another_instance_kept(self, states: tuple[State, State]):
        assert await states[0].snapshots.put(a_configuration(7), NOON)

        assert await states[1].snapshots.find(ISSUER) == (a_configuration(7), NOON)
        assert await states[1].snapshots.confirmation(ISSUER) == Confirmation(ISSUER, 7, NOON)

    async def test_a_newer_version_takes_the_place_of_an_older_one(self, states):
        await states[0].snapshots.put(a_configuration(9), NOON)
        # Compared as a number.
        assert await states[1].snapshots.put(a_configuration(10, "newer"), LATER)

        assert await states[0].snapshots.find(ISSUER) == (a_configuration(10, "newer"), LATER)

    async def test_an_older_version_never_takes_the_place_of_a_newer_one(self, states):
        await states[0].snapshots.put(a_configuration(10), NOON)

        assert not await states[1].snapshots.put(a_configuration(9), LATER)
        assert not await states[1].snapshots.put(a_configuration(9), LATER, in_place_of=8)
        assert await states[0].snapshots.confirmation(ISSUER) == Confirmation(ISSUER, 10, NOON)

    async def test_a_newer_version_gives_way_when_it_is_named(self, states):
        await states[0].snapshots.put(a_configuration(10), NOON)

        assert await states[1].snapshots.put(a_configuration(9), LATER, in_place_of=10)
        assert await states[0].snapshots.confirmation(ISSUER) == Confirmation(ISSUER, 9, LATER)

    async def test_who_asked_replaces_what_does_not_open_whatever_number_it_has(self, states):
        theirs = msgspec.structs.replace(a_configuration(10), issuer="https://other.example")
        await states[0].snapshots.put(theirs, NOON)

        assert not await states[1].snapshots.put(a_configuration(7), LATER)
        assert await states[1].snapshots.put(a_configuration(7), LATER, in_place_of=ILLEGIBLE)
        assert await states[0].snapshots.confirmation(ISSUER) == Confirmation(ISSUER, 7, LATER)

    async def test_what_opens_is_not_taken_for_illegible(self, states):
        await states[0].snapshots.put(a_configuration(10), NOON)

        assert not await states[1].snapshots.put(a_configuration(9), LATER, in_place_of=ILLEGIBLE)

    async def test_the_same_version_may_be_put_again(self, states):
        await states[0].snapshots.put(a_configuration(7), NOON)
        assert await states[1].snapshots.put(a_configuration(7), LATER)

        assert await states[0].snapshots.confirmation(ISSUER) == Confirmation(ISSUER, 7, LATER)

    async def test_confirms_the_version_that_stands_there_and_no_other(self, states):
        await states[0].snapshots.put(a_configuration(7), NOON)

        assert await states[1].snapshots.confirm(Confirmation(ISSUER, 7, LATER))
        assert not await states[1].snapshots.confirm(Confirmation(ISSUER, 6, LATER + DAY))
        assert not await states[1].snapshots.confirm(Confirmation(ISSUER, 8, LATER + DAY))
        assert await states[0].snapshots.find(ISSUER) == (a_configuration(7), LATER)

    async def test_another_deployments_is_not_there(self, states: tuple[State, State]):
        await states[0].snapshots.put(a_configuration(7), NOON)

        assert await states[1].snapshots.find("https://other.example") is None
        assert await states[1].snapshots.confirmation("https://other.example") is None

    async def test_of_many_at_once_the_newest_stays(self, states):
        await asyncio.gather(
            *(states[i % 2].snapshots.put(a_configuration(i), NOON) for i in range(1, 33))
        )
        assert await states[0].snapshots.confirmation(ISSUER) == Confirmation(ISSUER, 32, NOON)


class CredentialCacheContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    def held(self):
        return [an_authenticator(subject=a_subject()) for _ in range(2)]

    async def test_what_was_not_put_is_unknown(self, states: tuple[State, State]):
        assert await states[0].credentials.find(a_subject()) is None

    async def test_returns_what_another_instance_read(self, states, held, clock: StillClock):
        subject = held[0].subject
        await states[0].credentials.put(subject, held, clock.now())

        assert list(await states[1].credentials.find(subject)) == held

    async def test_a_later_list_replaces_the_whole(self, states, held, clock: StillClock):
        subject = held[0].subject
        await states[0].credentials.put(subject, held, clock.now())
        await states[1].credentials.put(subject, held[1:], clock.now())

        assert list(await states[0].credentials.find(subject)) == held[1:]

    async def test_nothing_at_all_is_unknown_and_not_none(self, states, held, clock: StillClock):
        subject = held[0].subject
        await states[0].credentials.put(subject, held, clock.now())
        await states[0].credentials.put(subject, [], clock.now())

        assert await states[1].credentials.find(subject) is None

    async def test_what_was_forgotten_is_unknown(self, states, held, clock: StillClock):
        subject = held[0].subject
        await states[0].credentials.put(subject, held, clock.now())
        await states[1].credentials.forget(subject)
        await states[1].credentials.forget(subject)

        assert await states[0].credentials.find(subject) is None

    async def test_another_instance_goes_on_where_one_stopped(self, states, clock: StillClock):
        place = FillPlace("a subject", clock.now())
        await states[0].credentials.keep_place(place)

        assert await states[1].credentials.place() == place

    async def test_what_was_read_a_day_ago_is_unknown(self, states, held, clock: StillClock):
        subject = held[0].subject
        await states[0].credentials.put(subject, held, clock.now())
        clock.advance(DAY)
        assert await states[1].credentials.find(subject) is not None
        clock.advance(timedelta(seconds=1))
        assert await states[1].credentials.find(subject) is None
