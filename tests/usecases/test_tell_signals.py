"""What happened here is told once, to those who may know."""

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.ids import Subject
from stepup.domain.revocation import Revoked
from stepup.domain.signals import EventType
from stepup.domain.streams import StreamStatus
from stepup.ports import AuditRecorded
from stepup.usecases import provision, streams
from stepup.usecases.end_subject import end_subject
from stepup.usecases.ending import Ending, end_by
from stepup.usecases.streams import Wish
from stepup.usecases.tell_signals import tell_once
from tests.support import vectors
from tests.support.receivers import CRM, a_receiver, a_stream, told, waiting
from tests.support.world import IDP, World
from tests.usecases.steps import issued

LIFETIME = timedelta(minutes=5)
ALICE = {"format": "iss_sub", "iss": IDP, "sub": "alice"}


async def record(
    world: World,
    kind: AuditKind,
    sub: str = "alice",
    challenge_id: str | None = None,
    **details: object,
) -> None:
    """Write what a use case would."""
    event = AuditEvent(
        kind=kind,
        at=world.clock.now(),
        subject_id=world.subject(sub).id,
        challenge_id=challenge_id,
        details=details,
    )
    await world.ports.state.outbox.append(AuditRecorded(event=event))


async def issue(world: World, jti: str = "t1", acr: str = "phr", sub: str = "alice") -> None:
    until = int((world.clock.now() + LIFETIME).timestamp())
    await record(world, AuditKind.TOKEN_ISSUED, sub, jti=jti, acr=acr, expires_at=until)


def levels(events) -> list[tuple[str, str]]:
    return [
        (event.payload["previous_level"], event.payload["current_level"])
        for event in events
        if event.type == EventType.ASSURANCE_LEVEL_CHANGE
    ]


async def test_an_elevation_and_its_end_are_told(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    await issue(world)
    await told(world)
    [began] = await waiting(world, stream)
    assert began.type == EventType.ASSURANCE_LEVEL_CHANGE
    assert (began.issuer, began.audiences, began.sub_id) == (world.site.issuer, (CRM,), ALICE)
    assert began.transaction
    world.clock.advance(LIFETIME)
    await told(world)
    await told(world)
    assert levels(await waiting(world, stream)) == [("base", "phr"), ("phr", "base")]


async def test_a_real_step_up_is_told(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    granted = await issued(world)
    await told(world)
    assert levels(await waiting(world, stream)) == [("base", granted.token.acr)]
    world.clock.advance(granted.token.expires_at - world.clock.now())
    await told(world)
    assert levels(await waiting(world, stream))[1:] == [(granted.token.acr, "base")]


async def test_what_is_sent_has_the_published_members(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    await issue(world)
    await end_subject(world.ports, world.subject().id, by="key:1")
    passkey, _ = await world.enroll_passkey()
    await provision.remove(world.ports, world.subject(), passkey.id)
    await told(world)
    published: dict[str, set[str]] = {}
    for example in vectors.load("ssf-caep-examples")["caep"]:
        for kind, payload in example["json"]["events"].items():
            published.setdefault(kind, set()).update(payload)
    # Members that every CAEP event may have, and those its own section names besides the examples.
    everywhere = {"event_timestamp", "initiating_entity", "reason_admin", "reason_user"}
    kinds = set()
    async with world.ports.database.transaction() as stores:
        queued = await stores.signals.waiting(stream, 10)
    for each in queued:
        claims = json.loads(each.claims)
        [(kind, payload)] = claims["events"].items()
        kinds.add(kind)
        assert set(payload) <= published[kind] | everywhere | {"change_direction"}
        assert set(claims) == {"iss", "jti", "iat", "aud", "txn", "sub_id", "events"}
    assert kinds == {
        EventType.ASSURANCE_LEVEL_CHANGE,
        EventType.SESSION_REVOKED,
        EventType.CREDENTIAL_CHANGE,
    }


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (AuditKind.TOKEN_REVOKED, {"jti": "c1.t1"}),
        (AuditKind.TOKEN_CONSUMED, {"jti": "c1.t1"}),
        (AuditKind.CODE_REPLAYED, {"jti": "c1.t1"}),
        (AuditKind.REFRESH_TOKEN_REPLAYED, {}),
        (AuditKind.REVOCATION_MADE, {"what": "grant", "value": "c1"}),
    ],
)
async def test_an_elevation_that_ends_early_is_told_once(world: World, kind, details):
    await world.enroll_app()
    stream = await a_stream(world)
    await issue(world, "c1.t1")
    await record(world, kind, challenge_id="c1", **details)
    await told(world)
    world.clock.advance(LIFETIME)
    await told(world)
    assert levels(await waiting(world, stream)) == [("base", "phr"), ("phr", "base")]


async def test_a_refreshed_token_keeps_the_level(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    await issue(world, "c1.t1")
    world.clock.advance(LIFETIME / 2)
    await issue(world, "c1.t2")
    await told(world)
    world.clock.advance(LIFETIME / 2)
    await told(world)
    assert levels(await waiting(world, stream)) == [("base", "phr")]


async def test_a_locked_subject_is_told_as_a_revoked_session_and_a_lower_level(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    await issue(world)
    await end_subject(world.ports, world.subject().id, by="key:1")
    await told(world)
    kinds = [event.type.rsplit("/", 1)[1] for event in await waiting(world, stream)]
    assert kinds == ["assurance-level-change", "session-revoked", "assurance-level-change"]


async def test_a_removed_authenticator_ends_what_it_gave_and_nothing_else(world: World):
    await world.enroll_app()
    passkey, _ = await world.enroll_passkey()
    stream = await a_stream(world)
    granted = await issued(world)
    [app] = granted.token.authenticators or ()
    await provision.remove(world.ports, world.subject(), passkey.id)
    await told(world)
    began = [("base", granted.token.acr)]
    assert levels(await waiting(world, stream)) == began
    await provision.remove(world.ports, world.subject(), app)
    await told(world)
    assert levels(await waiting(world, stream)) == [*began, (granted.token.acr, "base")]


async def test_an_authenticator_that_is_trusted_no_more_ends_what_it_gave(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    granted = await issued(world)
    [app] = granted.token.authenticators or ()
    ending = Ending(what=Revoked.AUTHENTICATOR, value=app, subject=world.subject())
    await end_by(world.ports, ending, "key:1")
    await told(world)
    changes = [("base", granted.token.acr), (granted.token.acr, "base")]
    assert levels(await waiting(world, stream)) == changes


async def test_a_new_authenticator_and_the_end_of_the_last_one_are_told(world: World):
    stream = await a_stream(world)
    app = await provision.provision(
        world.ports,
        world.subject(),
        {"type": "totp", "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "name": "Phone"},
    )
    await told(world)
    await provision.remove(world.ports, world.subject(), app.id)
    await told(world)
    events = await waiting(world, stream)
    payloads = [event.payload for event in events]
    assert [event.sub_id for event in events] == [ALICE, ALICE]
    assert [(p["change_type"], p["credential_type"]) for p in payloads] == [
        ("create", "app"),
        ("revoke", "app"),
    ]
    assert payloads[0]["friendly_name"] == "Phone"


async def test_whoever_begins_to_listen_hears_what_happens_from_then_on(world: World):
    await world.enroll_app()
    await issue(world, "before")
    stream = await a_stream(world)
    world.clock.advance(LIFETIME)
    await told(world)
    assert await waiting(world, stream) == []


async def test_of_many_who_tell_at_once_one_does(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    for n in range(5):
        await issue(world, f"t{n}", sub="alice")
        await record(world, AuditKind.TOKEN_REVOKED, jti=f"t{n}")
    while await world.ports.state.outbox.read(1):
        await told(world)
    await asyncio.gather(*(tell_once(world.ports) for _ in range(8)))
    assert len(await waiting(world, stream)) == 10


async def test_every_stream_gets_its_own_set(world: World):
    await world.enroll_app()
    first, second = await a_stream(world), await a_stream(world)
    await issue(world)
    await told(world)
    [one], [other] = await waiting(world, first), await waiting(world, second)
    assert one.id != other.id
    assert one.transaction == other.transaction


async def test_attack_a_receiver_hears_of_nobody_elses_subjects(world: World):
    other = Subject("https://other.example", "alice")
    a_receiver(world, "elsewhere", subject_issuer=other.issuer)
    elsewhere = await a_stream(world, client_id="elsewhere")
    here = await a_stream(world)
    await world.enroll_app()
    await issue(world)
    await told(world)
    assert await waiting(world, elsewhere) == []
    assert len(await waiting(world, here)) == 1


@pytest.mark.parametrize("changes", [{"disabled": True}, {"roles": frozenset()}])
async def test_attack_a_client_that_is_no_receiver_any_more_hears_nothing(world: World, changes):
    await world.enroll_app()
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    world.snapshot.clients[CRM] = msgspec.structs.replace(client, **changes)
    await issue(world)
    await told(world)
    assert await waiting(world, stream) == []


async def test_ssf_8_1_3_only_subjects_that_the_receiver_wants(world: World):
    for sub in ("alice", "bob"):
        await world.enroll_app(sub)
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    await streams.choose_subject(world.ports, client, stream.id, ALICE, wanted=False)
    for sub in ("alice", "bob"):
        await issue(world, f"t-{sub}", sub=sub)
    await told(world)
    assert [event.sub_id["sub"] for event in await waiting(world, stream)] == ["bob"]


async def test_ssf_8_1_1_only_events_that_were_requested(world: World):
    await world.enroll_app()
    wish = Wish(events_requested=(str(EventType.SESSION_REVOKED),))
    stream = await a_stream(world, wish)
    await issue(world)
    await end_subject(world.ports, world.subject().id, by="key:1")
    await told(world)
    assert [event.type for event in await waiting(world, stream)] == [EventType.SESSION_REVOKED]


async def test_ssf_8_1_2_what_happens_while_disabled_is_not_kept(world: World):
    await world.enroll_app()
    stream = await a_stream(world)
    client = world.snapshot.clients[CRM]
    for status in (StreamStatus.DISABLED, StreamStatus.ENABLED):
        await streams.set_status(world.ports, client, stream.id, status, None)
        await told(world)
        if status is StreamStatus.DISABLED:
            await issue(world)
            await told(world)
    assert await waiting(world, stream) == []


async def test_a_subject_that_nobody_can_name_is_passed_over(world: World):
    stream = await a_stream(world)
    await issue(world, sub="without-authenticators")
    await record(world, AuditKind.SUBJECT_REVOKED, "without-authenticators", by="key:1")
    await told(world)
    assert await waiting(world, stream) == []
