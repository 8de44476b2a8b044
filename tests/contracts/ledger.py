"""What `LedgerStore` and `Ledger` promise: of each code and each token the first row stays."""

import asyncio
import secrets
from datetime import timedelta

import pytest

from stepup.domain.ids import AttemptId, ChallengeId, ClientId, SubjectId, TokenId
from stepup.ports import CodeRedeemed, LedgerRow, RefreshUsed, TokenConsumed
from tests.support.builders import an_attempt
from tests.support.determinism import NOON

SECOND = timedelta(seconds=1)


def a_redemption(**changes: object) -> CodeRedeemed:
    name = secrets.token_urlsafe(8)
    fields: dict = {
        "challenge_id": ChallengeId(f"r1.{name}"),
        "attempt": an_attempt(),
        "token_id": TokenId(f"r1.{name}.jti"),
        "client_id": ClientId("bank"),
        "subject_id": SubjectId("alice"),
        "redeemed_at": NOON,
    }
    return CodeRedeemed(**fields | changes)


def a_consumption(**changes: object) -> TokenConsumed:
    name = secrets.token_urlsafe(8)
    fields: dict = {
        "challenge_id": ChallengeId(f"r1.{name}"),
        "attempt": an_attempt(),
        "token_id": TokenId(f"r1.{name}.jti"),
        "client_id": ClientId("payments"),
        "consumed_at": NOON,
    }
    return TokenConsumed(**fields | changes)


def a_refresh_use(**changes: object) -> RefreshUsed:
    name = secrets.token_urlsafe(8)
    fields: dict = {
        "challenge_id": ChallengeId(f"r1.{name}"),
        "count": 3,
        "attempt": an_attempt(),
        "token_id": TokenId(f"r1.{name}.jti"),
        "client_id": ClientId("bank"),
        "subject_id": SubjectId("alice"),
        "used_at": NOON,
    }
    return RefreshUsed(**fields | changes)


def by_another(row: LedgerRow) -> LedgerRow:
    """Return what another attempt would write a second later."""
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    moment = next(at for make, at in OF_A_KIND if at in fields)
    changes = {"attempt": AttemptId(f"other {an_attempt()}"), moment: row.at + SECOND}
    return type(row)(**fields | changes)


either = pytest.mark.parametrize(
    "row", [a_redemption(), a_refresh_use(), a_consumption()], ids=["code", "refresh", "token"]
)


class LedgerStoreContract:
    """Subclass it and provide `database`."""

    async def test_the_first_row_stays_and_everybody_is_told_it(self, database):
        rows = [a_redemption(), a_consumption(), a_redemption(), a_refresh_use()]
        assert await record_all(database, *rows) == rows
        late = [by_another(row) for row in rows]
        fresh = a_consumption()
        assert await record_all(database, late[1], fresh, late[0]) == [rows[1], fresh, rows[0]]

    async def test_the_same_row_again_is_harmless(self, database):
        row = a_redemption()
        assert await record_all(database, row, row) == [row, row]
        assert await record_all(database, row) == [row]

    async def test_of_two_in_one_batch_the_first_one_stays(self, database):
        first = a_consumption()
        assert await record_all(database, first, by_another(first)) == [first, first]
        assert await record_all(database, by_another(first)) == [first]

    async def test_no_rows_are_written_when_there_are_none(self, database):
        assert await record_all(database) == []

    async def test_a_code_and_a_token_of_one_challenge_are_two_things(self, database):
        code = a_redemption()
        token = a_consumption(challenge_id=code.challenge_id, token_id=code.token_id)
        assert await record_all(database, code, token) == [code, token]

    async def test_a_token_that_nobody_used_is_not_found(self, database):
        used = a_consumption()
        await record_all(database, used, a_redemption(token_id="r1.x.jti"))
        async with database.transaction() as stores:
            assert await stores.ledger.find_consumption(used.token_id) == used
            assert await stores.ledger.find_consumption(TokenId("r1.x.jti")) is None

    async def test_forgets_what_is_old_a_few_at_a_time(self, database):
        old = [make(**{at: NOON - SECOND}) for make, at in OF_A_KIND for _ in range(3)]
        new = [a_redemption(), a_refresh_use(), a_consumption()]
        await record_all(database, *old, *new)
        async with database.transaction() as stores:
            assert await stores.ledger.forget(NOON, 2) == 6
            assert await stores.ledger.forget(NOON, 2) == 3
            assert await stores.ledger.forget(NOON, 2) == 0
        late = [by_another(row) for row in (*old, *new)]
        assert await record_all(database, *late) == [*late[:9], *new]


class LedgerContract:
    """Subclass it and provide `ledgers`: one ledger, reached by two instances."""

    @either
    async def test_of_64_concurrent_attempts_all_hear_of_the_same_one(self, ledgers, row):
        attempts = [row, *(by_another(row) for _ in range(63))]
        heard = await asyncio.gather(
            *(ledgers[i % 2].record(each) for i, each in enumerate(attempts))
        )
        assert len({each.attempt for each in heard}) == 1
        assert heard[0] in attempts

    async def test_each_of_many_hears_of_its_own(self, ledgers):
        rows = [make() for make, _ in OF_A_KIND for _ in range(200)]
        heard = await asyncio.gather(*(ledgers[i % 2].record(r) for i, r in enumerate(rows)))
        assert heard == rows

    @either
    async def test_the_same_attempt_hears_when_it_came_first(self, ledgers, row):
        again = type(row)(**{name: getattr(row, name) for name in row.__struct_fields__})
        first = await ledgers[0].record(row)
        assert await ledgers[1].record(again) == first

    async def test_a_caller_who_leaves_takes_nothing_from_the_others(self, ledgers):
        rows = [a_redemption() for _ in range(20)]
        tasks = [asyncio.create_task(ledgers[0].record(row)) for row in rows]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        assert await asyncio.gather(*tasks[1::2]) == rows[1::2]

    async def test_says_when_a_token_was_used(self, ledgers):
        used = a_consumption()
        assert await ledgers[0].find_consumption(used.token_id) is None
        await ledgers[0].record(used)
        assert await ledgers[1].find_consumption(used.token_id) == used


OF_A_KIND = (
    (a_redemption, "redeemed_at"),
    (a_refresh_use, "used_at"),
    (a_consumption, "consumed_at"),
)


async def record_all(database, *rows: LedgerRow) -> list[LedgerRow]:
    async with database.transaction() as stores:
        return list(await stores.ledger.record_all(rows))
