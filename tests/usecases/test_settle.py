"""What Redis forgot and grants again is stopped by the ledger, or was never granted without it."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.audit import AuditKind
from stepup.domain.challenge import ChallengeState
from stepup.domain.errors import (
    CodeReplayedError,
    DependencyUnavailableError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
)
from stepup.domain.ids import AttemptId, ChallengeId, Handle
from stepup.ports import CodeRedeemed, TokenConsumed
from stepup.usecases import consume, drain, introspect, settle
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import audited, code, issued, kinds, redeemed

SECOND = timedelta(seconds=1)
REDEMPTION, CONSUMPTION = AuditKind.REDEMPTION_CONFLICTED, AuditKind.CONSUMPTION_CONFLICTED


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


@pytest.fixture
def required(world: World) -> World:
    """Nothing is granted without the ledger, or all replicas in its place."""
    world.ports = world.ports._replace(
        site=msgspec.structs.replace(world.ports.site, ledger_required=True)
    )
    return world


def away(world: World, *, is_away: bool = True) -> None:
    world.ports.database.ledger.away = is_away


def replicated(world: World) -> None:
    world.ports.state.challenges.replicated = True


def forget_redemption(world: World, text: str) -> None:
    """Lose what a failover can lose: the redemption, and not the code."""
    handle = Handle.parse(text)
    assert handle is not None
    record = world.ports.state.challenges._records[handle.challenge_id]
    record.code.by = record.code.redeemed_at = None
    record.change(state=ChallengeState.VERIFIED)
    world.ports.state.challenges.once.pop(handle.challenge_id, None)


def forget_use(world: World, challenge_id: ChallengeId) -> None:
    """Lose the use of a token, and not that it may be used."""
    record = world.ports.state.challenges.once[challenge_id]
    record.by = record.token_id = record.consumed_at = None


async def use(world: World, text: str, attempt: AttemptId | None = None):
    return await consume.consume(
        world.ports, world.bank, text, attempt or an_attempt(), consume.Expected()
    )


async def is_active(world: World, text: str) -> bool:
    return await introspect.introspect(world.ports, world.bank, text) is not None


async def waiting(world: World, kind: type) -> list:
    return [e for _, e in await world.ports.state.outbox.read(1000) if isinstance(e, kind)]


# --- codes ------------------------------------------------------------------------------------


async def test_a_redemption_has_its_row_before_the_answer(world: World):
    got = await issued(world)

    [row] = world.ports.database.tables.ledger.values()
    assert row.token_id == got.token.id
    assert row.subject_id == world.subject().id
    assert row.redeemed_at == got.token.issued_at
    assert not await waiting(world, CodeRedeemed)


async def test_a_double_redemption_that_redis_lost_is_stopped_by_the_ledger(world: World):
    text = await code(world)
    got = await redeemed(world, text)
    forget_redemption(world, text)
    with pytest.raises(CodeReplayedError):
        await redeemed(world, text)

    # Both would have been one token, and whoever was second may have been the rightful one.
    assert not await is_active(world, got.text)
    events = [event for event in await audited(world.ports) if event.kind is REDEMPTION]
    assert [event.details for event in events] == [{"jti": got.token.id}]
    assert (await kinds(world.ports)).count(AuditKind.TOKEN_ISSUED) == 1


async def test_who_repeats_a_refused_redemption_is_refused_again_and_recorded_once(world: World):
    text, attempt = await code(world), an_attempt()
    await redeemed(world, text)
    forget_redemption(world, text)
    for _ in range(3):
        with pytest.raises(CodeReplayedError):
            await redeemed(world, text, attempt=attempt)

    assert (await kinds(world.ports)).count(REDEMPTION) == 1


async def test_the_same_attempt_gets_the_same_token_even_when_redis_lost_it(world: World):
    text, attempt = await code(world), an_attempt()
    first = await redeemed(world, text, attempt=attempt)
    forget_redemption(world, text)
    world.clock.advance(5 * SECOND)
    again = await redeemed(world, text, attempt=attempt)

    assert again.token == first.token
    assert await is_active(world, first.text)


async def test_while_the_ledger_is_away_the_row_waits_in_the_outbox_and_is_written_later(
    world: World,
):
    away(world)
    got = await issued(world)
    [row] = await waiting(world, CodeRedeemed)
    assert row.token_id == got.token.id
    assert not world.ports.database.tables.ledger

    await drain.drain_once(world.ports)
    assert list(world.ports.database.tables.ledger.values()) == [row]
    assert REDEMPTION not in await kinds(world.ports)


async def test_a_double_redemption_while_the_ledger_was_away_is_found_by_the_drain(world: World):
    text = await code(world)
    away(world)
    first = await redeemed(world, text)
    forget_redemption(world, text)
    second = await redeemed(world, text)
    assert second.token.id == first.token.id
    assert await is_active(world, first.text)

    away(world, is_away=False)
    await drain.drain_once(world.ports)
    assert not await is_active(world, first.text)
    assert (await kinds(world.ports)).count(REDEMPTION) == 1


async def test_a_conflict_is_reported_even_when_who_found_it_died(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    text = await code(world)
    away(world)
    first = await redeemed(world, text)
    forget_redemption(world, text)
    await redeemed(world, text)

    async def die(*_args: object) -> None:
        raise DependencyUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(world.ports.database, "keep_revocation", die)
        patched.setattr(world.ports.state.revocations, "publish", die)
        with pytest.raises(DependencyUnavailableError):
            await drain.drain_once(world.ports)
    assert await is_active(world, first.text)
    await drain.drain_once(world.ports)
    assert not await is_active(world, first.text)
    assert (await kinds(world.ports)).count(REDEMPTION) == 1


async def test_the_ledger_unreachable_never_grants_under_required(required: World):
    text, attempt = await code(required), an_attempt()
    away(required)
    for _ in range(2):
        with pytest.raises(DependencyUnavailableError):
            await redeemed(required, text, attempt=attempt)
    assert AuditKind.TOKEN_ISSUED not in await kinds(required.ports)

    # Nothing is lost by the refusal: the same attempt gets it when the ledger is back.
    away(required, is_away=False)
    assert await redeemed(required, text, attempt=attempt)


async def test_all_replicas_stand_in_for_the_ledger_under_required(required: World):
    away(required)
    replicated(required)
    got = await issued(required)

    assert [row.token_id for row in await waiting(required, CodeRedeemed)] == [got.token.id]


async def test_with_the_ledger_required_means_no_more_than_the_row(required: World):
    assert await issued(required)
    assert not await waiting(required, CodeRedeemed)


# --- once-only tokens -------------------------------------------------------------------------


async def test_a_double_use_that_redis_lost_is_stopped_by_the_ledger(world: World):
    got = await issued(world)
    first = await use(world, got.text)
    used_at = world.clock.now()
    forget_use(world, got.token.challenge_id)
    world.clock.advance(5 * SECOND)
    with pytest.raises(TokenAlreadyConsumedError) as refused:
        await use(world, got.text)

    assert refused.value.consumed_at == used_at
    assert int(refused.value.consumed_at.timestamp()) == first["consumed_at"]
    assert (await kinds(world.ports)).count(CONSUMPTION) == 1
    assert (await kinds(world.ports)).count(AuditKind.TOKEN_CONSUMED) == 1


async def test_a_used_token_is_refused_with_when_even_when_redis_lost_its_record(world: World):
    got = await issued(world)
    attempt = an_attempt()
    first = await use(world, got.text, attempt)
    world.ports.state.challenges.once.clear()
    with pytest.raises(TokenAlreadyConsumedError) as refused:
        await use(world, got.text)
    assert int(refused.value.consumed_at.timestamp()) == first["consumed_at"]

    assert await use(world, got.text, attempt) == first


async def test_a_token_that_neither_redis_nor_the_ledger_knows_is_never_used(world: World):
    got = await issued(world)
    world.ports.state.challenges.once.clear()
    with pytest.raises(TokenNotConsumableError):
        await use(world, got.text)


async def test_a_token_that_redis_lost_is_unknown_while_the_ledger_is_away(world: World):
    got = await issued(world)
    world.ports.state.challenges.once.clear()
    away(world)
    with pytest.raises(DependencyUnavailableError):
        await use(world, got.text)


async def test_a_use_while_the_ledger_is_away_is_written_later(world: World):
    got = await issued(world)
    away(world)
    await use(world, got.text)
    assert [row.token_id for row in await waiting(world, TokenConsumed)] == [got.token.id]

    await audited(world.ports)
    away(world, is_away=False)
    world.ports.state.challenges.once.clear()
    with pytest.raises(TokenAlreadyConsumedError):
        await use(world, got.text)


async def test_no_token_is_used_without_the_ledger_under_required(required: World):
    got = await issued(required)
    away(required)
    attempt = an_attempt()
    with pytest.raises(DependencyUnavailableError):
        await use(required, got.text, attempt)
    assert AuditKind.TOKEN_CONSUMED not in await kinds(required.ports)

    replicated(required)
    assert await use(required, got.text, attempt)


async def test_rows_are_forgotten_after_a_week(world: World):
    await issued(world)
    world.clock.advance(settle.LEDGER_KEPT)
    await settle.forget_spent(world.ports)
    assert len(world.ports.database.tables.ledger) == 1
    world.clock.advance(SECOND)
    await settle.forget_spent(world.ports)
    assert not world.ports.database.tables.ledger


async def test_introspection_asks_no_ledger(world: World):
    got = await issued(world)
    away(world)
    assert await is_active(world, got.text)
