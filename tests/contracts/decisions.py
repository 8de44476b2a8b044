"""What `DecisionLog` and `DecisionStore` promise: each record once, and gone by its day."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.domain.ids import ActionName, ClientId, DecisionId, SubjectId
from stepup.domain.recorded_decision import Outcome, RecordedDecision, decision_id
from stepup.ports import Backlog, DecisionLog, DecisionPlace, DecisionQuery
from tests.support.builders import a_decision_request, a_subject, an_approval
from tests.support.determinism import NOON

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TODAY = NOON.date()
EVERYTHING = DecisionQuery()


def a_record(at: datetime = NOON, *, action: str | None = None, **changes: object):
    request = a_decision_request() if action is None else a_decision_request(action=action)
    fields: dict = {
        "id": decision_id(at, secrets.token_urlsafe(12)),
        "at": at,
        "client_id": ClientId("bank"),
        "subject_id": a_subject().id,
        "request": request,
        "approval": an_approval(),
        "policy_version": 3,
        "outcome": Outcome.STEP_UP,
        "rule": "large",
        "guardrails": ("money",),
    }
    return RecordedDecision(**fields | changes)


class DecisionLogContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    @pytest.fixture
    async def logs(self, states) -> tuple[DecisionLog, DecisionLog]:
        log = states[0].decisions
        while entries := await log.read(1000):
            await log.remove([entry_id for entry_id, _ in entries])
        return log, states[1].decisions

    async def test_a_record_is_there_for_everybody_once_it_is_flushed(self, logs):
        record = a_record()
        logs[0].add(record)
        assert list(await logs[1].read(9)) == []
        await logs[0].flush()
        assert [found for _, found in await logs[1].read(9)] == [record]
        await logs[0].flush()
        assert len(await logs[1].read(9)) == 1

    async def test_reading_removes_nothing_and_removing_what_was_read(self, logs):
        records = [a_record() for _ in range(3)]
        for record in records:
            logs[0].add(record)
        await logs[0].flush()
        entries = await logs[0].read(9)
        assert [record for _, record in entries] == records
        assert await logs[0].read(9) == entries

        await logs[0].remove([entries[1][0]])
        await logs[0].remove([entries[1][0]])
        await logs[0].remove([])
        assert await logs[0].read(9) == [entries[0], entries[2]]
        assert await logs[0].read(1) == [entries[0]]

    async def test_says_how_much_waits_and_since_when(self, logs):
        assert await logs[0].backlog() == Backlog(0, None)
        logs[0].add(a_record())
        assert await logs[0].backlog() == Backlog(0, None)
        await logs[0].flush()
        since = (await logs[0].backlog()).oldest_at
        assert since is not None
        await asyncio.sleep(0.01)
        logs[1].add(a_record())
        await logs[1].flush()
        assert await logs[0].backlog() == Backlog(2, since)

    async def test_loses_none_of_many_that_come_at_once(self, logs):
        async def keep(log: DecisionLog, records: list[RecordedDecision]) -> None:
            for record in records:
                log.add(record)
                await asyncio.sleep(0)
            await log.flush()

        records = [a_record() for _ in range(1000)]
        await asyncio.gather(*(keep(logs[n % 2], records[n::8]) for n in range(8)))
        found = [record.id for _, record in await logs[0].read(2000)]
        assert sorted(found) == sorted(record.id for record in records)


class DecisionStoreContract:
    """Subclass it and provide `database`."""

    async def test_keeps_a_record_as_it_is(self, database):
        record = a_record(
            digested=frozenset({"resource.iban"}),
            max_age=timedelta(minutes=5),
            sampled_as=10,
            at=NOON + timedelta(microseconds=123456),
        )
        await add(database, record)
        assert await page(database) == [record]
        async with database.transaction() as stores:
            assert await stores.decisions.find(record.id) == record

    @pytest.mark.parametrize("name", ["", "unheard", "0" * 12 + ".x", "\0"])
    async def test_does_not_find_what_is_not_there(self, database, name):
        async with database.transaction() as stores:
            assert await stores.decisions.find(DecisionId(name)) is None

    async def test_keeps_each_record_once(self, database):
        first, second = a_record(), a_record()
        await add(database, first, second, first)
        await add(database, second)
        assert len(await page(database)) == 2

    async def test_adds_nothing(self, database):
        await add(database)
        assert await page(database) == []

    @pytest.mark.parametrize("action", ["\0", "é" * 1024, "a\nb"])
    async def test_keeps_actions_that_somebody_invented(self, database, action):
        record = a_record(action=action)
        await add(database, record)
        assert await page(database, DecisionQuery(actions=frozenset({ActionName(action)}))) == [
            record
        ]

    async def test_attack_texts_that_a_database_does_not_take_stop_the_others(self, database):
        poisoned = a_record()
        nasty = "\0'\\u0000\u2028\U0001f600\x01"
        poisoned = msgspec.structs.replace(
            poisoned,
            request=msgspec.structs.replace(
                poisoned.request,
                subject_id=nasty,
                resource_id=nasty,
                resource_type=nasty,
                subject={nasty: nasty},
                action_properties={"amount": 10**400, "rate": 1e308},
            ),
        )
        await add(database, poisoned, a_record())
        assert len(await page(database)) == 2
        async with database.transaction() as stores:
            assert await stores.decisions.find(poisoned.id) == poisoned

    async def test_hands_out_pages_newest_first(self, database):
        records = [a_record(NOON + n // 3 * MINUTE) for n in range(10)]
        await add(database, *records)
        expected = sorted(records, key=lambda r: (r.at, r.id), reverse=True)

        read, after = [], None
        async with database.transaction() as stores:
            while found := await stores.decisions.page(EVERYTHING, after=after, count=4):
                read += found
                after = DecisionPlace(found[-1].at, found[-1].id)
        assert read == expected

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (DecisionQuery(since=NOON), {"now", "later"}),
            (DecisionQuery(until=NOON), {"before"}),
            (DecisionQuery(since=NOON - DAY, until=NOON + MINUTE), {"before", "now"}),
            (DecisionQuery(actions=frozenset({ActionName("b")})), {"now"}),
            (
                DecisionQuery(actions=frozenset({ActionName("b"), ActionName("a")})),
                {"now", "later"},
            ),
            (DecisionQuery(actions=frozenset()), set()),
            (DecisionQuery(outcome=Outcome.ALLOW), {"later"}),
            (DecisionQuery(outcome=Outcome.DENY), {"now"}),
            (DecisionQuery(subject_id=SubjectId("s2")), {"now"}),
            (DecisionQuery(client_id=ClientId("shop")), {"before"}),
            (DecisionQuery(rule="small"), {"later"}),
            (DecisionQuery(rule="small", outcome=Outcome.DENY), set()),
        ],
    )
    async def test_finds_by_what_a_record_is_about(self, database, query, found):
        records = {
            "before": a_record(NOON - MINUTE, client_id=ClientId("shop")),
            "now": a_record(action="b", outcome=Outcome.DENY, subject_id=SubjectId("s2")),
            "later": a_record(NOON + MINUTE, action="a", outcome=Outcome.ALLOW, rule="small"),
        }
        await add(database, *records.values())
        names = {record.id: name for name, record in records.items()}
        assert {names[record.id] for record in await page(database, query)} == found

    async def test_a_day_goes_with_its_records_and_the_others_stay(self, database):
        async with database.transaction() as stores:
            for day in (TODAY, TODAY - DAY):
                assert await stores.decisions.prepare(day)
            assert await stores.decisions.days() == [TODAY - DAY, TODAY]
        yesterday, today = a_record(NOON - DAY), a_record()
        await add(database, yesterday, today)

        async with database.transaction() as stores:
            await stores.decisions.drop(TODAY - DAY)
            await stores.decisions.drop(TODAY - 9 * DAY)
            assert await stores.decisions.days() == [TODAY]
        assert await page(database) == [today]

    async def test_a_day_begins_and_ends_at_midnight(self, database):
        async with database.transaction() as stores:
            assert await stores.decisions.prepare(TODAY)
        midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
        inside = [a_record(midnight), a_record(midnight + DAY - timedelta(microseconds=1))]
        outside = [a_record(midnight - timedelta(microseconds=1)), a_record(midnight + DAY)]
        await add(database, *inside, *outside)

        async with database.transaction() as stores:
            await stores.decisions.drop(TODAY)
        assert {record.id for record in await page(database)} == {r.id for r in outside}

    async def test_records_that_came_before_their_day_keep_their_place(self, database):
        record = a_record()
        await add(database, record)
        async with database.transaction() as stores:
            assert not await stores.decisions.prepare(TODAY)
        assert await page(database) == [record]

    async def test_forgets_old_records_of_no_day(self, database):
        async with database.transaction() as stores:
            await stores.decisions.prepare(TODAY)
        kept = [a_record(), a_record(NOON + 40 * DAY)]
        await add(database, *kept, *(a_record(NOON - 40 * DAY) for _ in range(5)))
        forgotten = []
        for _ in range(3):
            async with database.transaction() as stores:
                forgotten.append(await stores.decisions.forget(NOON - DAY, 3))
        assert forgotten == [3, 2, 0]
        assert {record.id for record in await page(database)} == {record.id for record in kept}


async def add(database, *records: RecordedDecision) -> None:
    async with database.transaction() as stores:
        await stores.decisions.add_all(records)


async def page(database, query: DecisionQuery = EVERYTHING) -> list[RecordedDecision]:
    async with database.transaction() as stores:
        return list(await stores.decisions.page(query, count=1000))
