"""What `Outbox` and `Changes` promise."""

import asyncio
from contextlib import aclosing

import pytest

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.ids import AuthenticatorId, ChallengeId
from stepup.ports import (
    AuditRecorded,
    AuthenticatorUsed,
    Backlog,
    Outbox,
    OutboxEntry,
    State,
)
from tests.support.determinism import NOON, StillClock


def an_event(number: int) -> OutboxEntry:
    event = AuditEvent(
        kind=AuditKind.TOKEN_ISSUED,
        at=NOON,
        challenge_id=ChallengeId("r1.x"),
        details={"number": number, "acr": "phr", "once": True, "note": None},
    )
    return AuditRecorded(event=event)


A_USE = AuthenticatorUsed(authenticator_id=AuthenticatorId("a1"), at=NOON, sign_count=7)


class OutboxContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    async def outbox(self, states: tuple[State, State]) -> Outbox:
        outbox = states[0].outbox
        while entries := await outbox.read(1000):
            await outbox.remove([entry_id for entry_id, _ in entries])
        return outbox

    async def test_returns_the_oldest_entries_in_order(self, outbox):
        await outbox.append(an_event(1), A_USE)
        await outbox.append(an_event(2))
        assert [entry for _, entry in await outbox.read(2)] == [an_event(1), A_USE]
        assert [entry for _, entry in await outbox.read(9)] == [an_event(1), A_USE, an_event(2)]

    async def test_reading_removes_nothing(self, outbox):
        await outbox.append(an_event(1))
        assert await outbox.read(9) == await outbox.read(9)

    async def test_forgets_what_was_written(self, outbox):
        await outbox.append(an_event(1), an_event(2), an_event(3))
        entries = await outbox.read(9)
        await outbox.remove([entries[0][0], entries[2][0]])
        await outbox.remove([entries[0][0]])
        assert await outbox.read(9) == [entries[1]]

    async def test_says_how_much_waits_and_since_when(self, outbox):
        assert await outbox.backlog() == Backlog(0, None)
        await outbox.append(an_event(1), A_USE)
        since = (await outbox.backlog()).oldest_at
        await asyncio.sleep(0.01)
        await outbox.append(an_event(2))
        assert since is not None
        assert await outbox.backlog() == Backlog(3, since)
        await outbox.remove([entry_id for entry_id, _ in await outbox.read(9)])
        assert await outbox.backlog() == Backlog(0, None)

    async def test_appends_and_removes_nothing(self, outbox):
        await outbox.append()
        await outbox.remove([])
        assert list(await outbox.read(9)) == []

    async def test_loses_none_of_many_concurrent_entries(self, outbox, states):
        await asyncio.gather(
            *(states[i % 2].outbox.append(an_event(2 * i), an_event(2 * i + 1)) for i in range(64))
        )
        entries = await outbox.read(1000)
        numbers = [entry.event.details["number"] for _, entry in entries]
        assert sorted(numbers) == list(range(128))
        assert all(numbers.index(2 * i) < numbers.index(2 * i + 1) for i in range(64))
        assert len({entry_id for entry_id, _ in entries}) == 128


class ChangesContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    async def test_tells_everybody(self, states: tuple[State, State], clock: StillClock):
        heard = [asyncio.create_task(hear(state, 2)) for state in (*states, states[0])]
        await asyncio.sleep(0.1)
        for _ in range(2):
            await states[0].changes.announce()
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(asyncio.gather(*heard), timeout=2) == [2, 2, 2]

    async def test_announcing_to_nobody_is_no_error(self, states: tuple[State, State]):
        await states[0].changes.announce()


async def hear(state: State, times: int) -> int:
    """Listen until that many announcements came."""
    count = 0
    async with aclosing(state.changes.listen()) as announcements:
        async for _ in announcements:
            count += 1
            if count == times:
                break
    return count
