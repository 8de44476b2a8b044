"""Whether a token still counts, when the feed is old and when Redis is away."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.decision import Allow
from stepup.domain.errors import DependencyUnavailableError, TokenNotConsumableError
from stepup.domain.ids import ActionName
from stepup.ports import RevocationFeed, TokenStore
from stepup.usecases import consume, decide, introspect, revoke
from stepup.usecases.revocation_feed import LiveRevocations
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import a_question, issued

ORDINARY = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    default: {level: urn:stepup:acr:2}
"""
CRITICAL = ORDINARY + "    critical: true\n"
ONCE = ORDINARY + "    token: {once: true}\n"


class SilentRedis(TokenStore, RevocationFeed):
    """Redis is away."""

    async def is_revoked(self, *_args: object) -> bool:
        raise DependencyUnavailableError

    is_usable = consume = is_revoked


class Moment:
    """What an instance knows, as old as a test says."""

    def __init__(self, document: str) -> None:
        self.now = 0.0
        self.known = LiveRevocations(lambda: self.now)
        self.world = World(document=document)
        self.world.ports = self.world.ports._replace(revocations=self.known)

    async def token(self, age: float | None) -> str:
        """Issue a token while the feed is fresh, and let the feed grow old."""
        self.known.confirm(0.0)
        await self.world.enroll_app()
        text = (await issued(self.world)).text
        self.now = 0.0 if age is None else age
        if age is None:
            self.known = LiveRevocations(lambda: 0.0)
            self.world.ports = self.world.ports._replace(revocations=self.known)
        return text

    def redis_goes_away(self) -> None:
        silent = SilentRedis()
        state = self.world.ports.state._replace(tokens=silent, revocations=silent)
        self.world.ports = self.world.ports._replace(state=state)

    async def introspect(self, text: str):
        return await introspect.introspect(self.world.ports, self.world.bank, text)


@pytest.mark.parametrize(
    ("document", "age", "marked"),
    [
        (ORDINARY, 5.0, None),
        (ORDINARY, 5.1, 6),
        (ORDINARY, 30.0, 30),
        (CRITICAL, 5.0, None),
        (ONCE, 5.0, None),
    ],
)
async def test_an_old_feed_is_said(document: str, age: float, marked: int | None):
    moment = Moment(document)
    claims = await moment.introspect(await moment.token(age))
    assert claims["sub"] == "alice"
    assert claims.get("revocation_age") == marked


@pytest.mark.parametrize(
    ("document", "age"),
    [(ORDINARY, 30.1), (CRITICAL, 5.1), (ONCE, 5.1), (ORDINARY, None), (CRITICAL, None)],
)
async def test_what_may_have_been_missed_is_unknown_and_not_refused(
    document: str, age: float | None
):
    moment = Moment(document)
    text = await moment.token(age)
    with pytest.raises(DependencyUnavailableError):
        await moment.introspect(text)


async def test_a_mark_is_believed_however_old_the_feed_is():
    moment = Moment(CRITICAL)
    text = await moment.token(60.0)
    await revoke.revoke(moment.world.ports, moment.world.bank, text)
    assert await moment.introspect(text) is None


@pytest.mark.parametrize(("age", "marked"), [(0.0, 0), (1.2, 2), (12.0, 12)])
async def test_without_redis_memory_answers_as_long_as_it_is_young(age: float, marked: int):
    moment = Moment(ORDINARY)
    text = await moment.token(age)
    moment.redis_goes_away()
    assert (await moment.introspect(text))["revocation_age"] == marked


async def test_without_redis_memory_knows_what_was_revoked():
    moment = Moment(ORDINARY)
    text = await moment.token(0.0)
    await revoke.revoke_subject(moment.world.ports, moment.world.subject().id)
    moment.redis_goes_away()
    assert await moment.introspect(text) is None


@pytest.mark.parametrize(("document", "age"), [(ONCE, 0.0), (CRITICAL, 5.1), (ORDINARY, 30.1)])
async def test_without_redis_what_only_redis_knows_is_unknown(document: str, age: float):
    moment = Moment(document)
    text = await moment.token(age)
    moment.redis_goes_away()
    with pytest.raises(DependencyUnavailableError):
        await moment.introspect(text)


async def use(moment: Moment, text: str):
    return await consume.consume(
        moment.world.ports, moment.world.bank, text, an_attempt(), consume.Expected()
    )


async def test_nothing_is_consumed_on_an_old_feed():
    moment = Moment(ONCE)
    text = await moment.token(5.1)
    with pytest.raises(DependencyUnavailableError):
        await use(moment, text)
    moment.known.confirm(5.0)
    assert await use(moment, text)


@pytest.mark.parametrize("what", ["subject", "key"])
async def test_what_a_revoked_subject_or_key_gave_is_not_consumed(what: str):
    moment = Moment(ONCE)
    text = await moment.token(0.0)
    world = moment.world
    if what == "subject":
        await revoke.revoke_subject(world.ports, world.subject().id)
    else:
        at = world.clock.now() + timedelta(seconds=1)
        await revoke.revoke_key(world.ports, world.keyring.active.id, at)
    assert await moment.introspect(text) is None
    with pytest.raises(TokenNotConsumableError):
        await use(moment, text)


async def test_a_step_up_after_the_revocation_counts():
    moment = Moment(ORDINARY)
    await moment.token(0.0)
    world = moment.world
    await revoke.revoke_subject(world.ports, world.subject().id)
    world.clock.advance(timedelta(seconds=60))
    assert await moment.introspect((await issued(world)).text)


OTHER = """
  reports.read: {default: {level: urn:stepup:acr:2}}
  reports.delete: {default: {level: urn:stepup:acr:2}, critical: true}
"""


@pytest.mark.parametrize("age", [5.0, 5.1])
async def test_attack_a_token_for_something_else_may_be_revoked_and_allows_what_is_critical(
    age: float,
):
    moment = Moment(ORDINARY + OTHER)
    text = await moment.token(age)

    async def ask(action: str) -> decide.Answer:
        question = a_question(elevated_token=text)
        request = msgspec.structs.replace(question.request, action=ActionName(action))
        asked = msgspec.structs.replace(question, request=request)
        return await decide.decide(moment.world.ports, moment.world.bank, asked)

    assert isinstance((await ask("reports.read")).decision, Allow)
    if age > 5:
        with pytest.raises(DependencyUnavailableError):
            await ask("reports.delete")
    else:
        assert isinstance((await ask("reports.delete")).decision, Allow)


async def test_attack_a_token_that_was_used_up_is_shown_again_when_redis_has_forgotten_it():
    moment = Moment(ONCE)
    text = await moment.token(0.0)
    world = moment.world
    assert await moment.introspect(text)
    await consume.consume(world.ports, world.bank, text, an_attempt(), consume.Expected())
    emptied = World(clock=world.clock, keyring=world.keyring)
    state = world.ports.state._replace(tokens=emptied.ports.state.tokens)
    world.ports = world.ports._replace(state=state)

    assert await moment.introspect(text) is None
