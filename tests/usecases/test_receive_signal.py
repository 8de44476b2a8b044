"""What an identity provider tells us of its subject takes effect here, and nobody else's does."""

from datetime import timedelta

import pytest

from stepup.crypto import keys, upstream
from stepup.domain.audit import AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import EventType
from stepup.usecases.receive_signal import Heard, receive
from tests.crypto.forging import forge
from tests.crypto.test_upstream import jwk
from tests.support import vectors
from tests.support.memory_database import AwayDatabase
from tests.support.world import IDP, SIGNAL_TOKEN, World
from tests.usecases.steps import audited

KEY = keys.generate_signing_key("RS256")
ALICE = {"format": "iss_sub", "iss": IDP, "sub": "alice"}
HIGH = {"principal": "USER", "current_level": "HIGH"}


@pytest.fixture
def world() -> World:
    world = World()
    world.upstreams.signal_keys = upstream.keys_of({"keys": [jwk(KEY)]})
    return world


def a_set(world: World, kind: str = EventType.SESSION_REVOKED, payload=None, **changes) -> str:
    claims = {
        "iss": IDP,
        "jti": "set-1",
        "iat": int(world.clock.now().timestamp()),
        "aud": "stepup",
        "sub_id": ALICE,
        "events": {str(kind): payload or {}},
    }
    header = {"alg": "RS256", "kid": KEY.id, "typ": "secevent+jwt"}
    return forge(header, claims | changes, KEY.private_key)


def ended(world: World, sub: str = "alice"):
    entries = world.ports.revocations.entries()
    return [each for each in entries if each.value == world.subject(sub).id]


@pytest.mark.parametrize(
    ("kind", "payload", "heard"),
    [
        (EventType.SESSION_REVOKED, {}, Heard.EFFECTIVE),
        (EventType.CREDENTIAL_CHANGE, {"change_type": "revoke"}, Heard.EFFECTIVE),
        (EventType.CREDENTIAL_CHANGE, {"change_type": "delete"}, Heard.EFFECTIVE),
        (EventType.CREDENTIAL_CHANGE, {"change_type": "create"}, Heard.NO_EFFECT),
        (EventType.CREDENTIAL_CHANGE, {}, Heard.NO_EFFECT),
        (EventType.CREDENTIAL_CHANGE, {"change_type": ["revoke"]}, Heard.NO_EFFECT),
        (EventType.RISK_LEVEL_CHANGE, HIGH, Heard.EFFECTIVE),
        (EventType.RISK_LEVEL_CHANGE, HIGH | {"current_level": "MEDIUM"}, Heard.NO_EFFECT),
        (EventType.RISK_LEVEL_CHANGE, HIGH | {"principal": "DEVICE"}, Heard.NO_EFFECT),
        (EventType.VERIFICATION, {"state": "x"}, Heard.NO_EFFECT),
        ("urn:example:something-new", {}, Heard.NO_EFFECT),
    ],
)
async def test_what_an_event_does(world: World, kind, payload, heard):
    became, _ = await receive(world.ports, a_set(world, kind, payload), SIGNAL_TOKEN)
    assert became is heard
    assert bool(ended(world)) is (heard is Heard.EFFECTIVE)


async def test_it_is_recorded_on_whose_word(world: World):
    await receive(world.ports, a_set(world), SIGNAL_TOKEN)
    [event] = [e for e in await audited(world.ports) if e.kind is AuditKind.SUBJECT_REVOKED]
    assert event.subject_id == world.subject().id
    assert (event.details["by"], event.details["why"]) == ("signal", "session-revoked")


async def test_the_user_of_a_complex_subject_is_meant(world: World):
    subject = {"format": "complex", "user": ALICE, "device": {"format": "opaque", "id": "1"}}
    await receive(world.ports, a_set(world, sub_id=subject), SIGNAL_TOKEN)
    assert ended(world)


@pytest.mark.parametrize(
    "subject",
    [
        {"format": "email", "email": "alice@example.com"},
        {"format": "opaque", "id": "alice"},
        # SSF 1.0, figure 4: a format of its own.
        vectors.load("ssf-caep-examples")["ssf"][0]["json"],
    ],
)
async def test_whoever_is_named_in_another_way_is_nobody(world: World, subject):
    became, _ = await receive(world.ports, a_set(world, sub_id=subject), SIGNAL_TOKEN)
    assert became is Heard.NOBODY
    assert not ended(world)


async def test_attack_an_event_about_another_issuers_subject(world: World):
    theirs = {"format": "iss_sub", "iss": "https://other.example", "sub": "alice"}
    for subject in (theirs, {"format": "complex", "user": theirs}):
        with pytest.raises(SetRefusedError) as caught:
            await receive(world.ports, a_set(world, sub_id=subject), SIGNAL_TOKEN)
        assert caught.value.err is SetError.ACCESS_DENIED
    assert world.ports.revocations.entries() == []


async def test_rfc8935_2_attack_a_replayed_set_ends_nothing_that_is_newer(world: World):
    text = a_set(world)
    await receive(world.ports, text, SIGNAL_TOKEN)
    [first] = ended(world)
    world.clock.advance(timedelta(hours=1))
    assert (await receive(world.ports, text, SIGNAL_TOKEN))[0] is Heard.EFFECTIVE
    assert all(each.before <= first.at + timedelta(minutes=5, seconds=1) for each in ended(world))
    told = [e for e in await audited(world.ports) if e.kind is AuditKind.SUBJECT_REVOKED]
    assert len(told) == 1


async def test_what_is_proved_after_the_event_counts(world: World):
    late = a_set(world)
    world.clock.advance(timedelta(minutes=10))
    await receive(world.ports, late, SIGNAL_TOKEN)
    assert all(each.before < world.clock.now() for each in ended(world))


async def test_attack_another_token_or_none(world: World):
    with pytest.raises(SetRefusedError) as caught:
        await receive(world.ports, a_set(world), "another")
    assert caught.value.err is SetError.AUTHENTICATION_FAILED


async def test_it_is_effective_although_postgresql_is_away(world: World):
    world.ports = world.ports._replace(database=AwayDatabase(world.clock))
    await receive(world.ports, a_set(world), SIGNAL_TOKEN)
    assert ended(world)


async def test_it_is_not_accepted_before_it_is_effective(world: World, monkeypatch):
    async def away(*_: object) -> None:
        raise DependencyUnavailableError

    world.ports = world.ports._replace(database=AwayDatabase(world.clock))
    monkeypatch.setattr(type(world.ports.state.outbox), "append", away)
    with pytest.raises(DependencyUnavailableError):
        await receive(world.ports, a_set(world), SIGNAL_TOKEN)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(each["json"], id=str(n))
        for n, each in enumerate(vectors.load("ssf-caep-examples")["caep"])
    ],
)
async def test_every_published_caep_event_is_understood(world: World, example):
    changes = {"iss": IDP, "aud": "stepup", "iat": int(world.clock.now().timestamp())}
    text = a_set(world, **example | changes | {"sub_id": ALICE})
    became, kind = await receive(world.ports, text, SIGNAL_TOKEN)
    assert kind in example["events"]
    assert (became is Heard.EFFECTIVE) is (kind == EventType.SESSION_REVOKED)
