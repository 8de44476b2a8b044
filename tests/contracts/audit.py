"""What `AuditStore` promises."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from stepup.crypto import audit_chain
from stepup.crypto.audit_chain import START
from stepup.domain.audit import AuditEvent, AuditKind, AuditRecord
from stepup.domain.ids import ActionName, ChallengeId, ClientId, SubjectId
from stepup.ports import Database, Stores
from tests.support.determinism import NOON

ISSUED = AuditEvent(
    kind=AuditKind.TOKEN_ISSUED,
    at=NOON,
    client_id=ClientId("bank"),
    subject_id=SubjectId("s-1"),
    action=ActionName("payments.transfer"),
    challenge_id=ChallengeId("r1.c-1"),
    details={"acr": "phr", "once": True, "n": 3, "scope": None},
)
ACTIVATED = AuditEvent(kind=AuditKind.POLICY_ACTIVATED, at=NOON)
KEY = audit_chain.chain_key(bytes(32))


class AuditStoreContract:
    """Subclass it and provide `database` (root secret: 32 zeros), `recorded`, `write_unchained`.

    `recorded` reads the log as it lies there, `write_unchained` writes as the release before did.
    """

    async def test_writes_events_in_order(self, database, recorded):
        async with database.transaction() as stores:
            await stores.audit.append("1-0", ISSUED)
            await stores.audit.append("1-1", ACTIVATED)
        assert recorded() == [("1-0", ISSUED), ("1-1", ACTIVATED)]

    async def test_the_same_entry_again_is_harmless(self, database, recorded):
        for _ in range(2):
            async with database.transaction() as stores:
                await stores.audit.append("1-0", ISSUED)
                await stores.audit.append("1-0", ISSUED)
        assert recorded() == [("1-0", ISSUED)]

    async def test_a_refusal_takes_its_record_along_when_it_is_raised_inside(
        self, database, recorded
    ):
        async def record_and_refuse() -> None:
            async with database.transaction() as stores:
                await stores.audit.append("1-0", ISSUED)
                raise KeyError

        with pytest.raises(KeyError):
            await record_and_refuse()
        assert recorded() == []

    async def test_a_batch_is_written_in_order(self, database, recorded):
        batch = [(f"2-{n}", ISSUED if n % 2 else ACTIVATED) for n in range(300)]
        async with database.transaction() as stores:
            await stores.audit.append_all(batch)
        assert recorded() == batch

    async def test_an_empty_batch_writes_nothing(self, database, recorded):
        async with database.transaction() as stores:
            await stores.audit.append_all([])
        assert recorded() == []

    async def test_of_entries_with_one_identifier_the_first_stays(self, database, recorded):
        async with database.transaction() as stores:
            await stores.audit.append_all([("1-0", ISSUED), ("1-1", ACTIVATED), ("1-0", ACTIVATED)])
        async with database.transaction() as stores:
            await stores.audit.append_all([("1-2", ISSUED), ("1-1", ISSUED), ("1-3", ACTIVATED)])
        assert recorded() == [
            ("1-0", ISSUED),
            ("1-1", ACTIVATED),
            ("1-2", ISSUED),
            ("1-3", ACTIVATED),
        ]
        assert await positions(database) == [1, 2, 3, 4]

    async def test_each_entry_is_chained_to_the_one_before(self, database):
        for number in range(3):
            async with database.transaction() as stores:
                await stores.audit.append_all([(f"{number}-{n}", ISSUED) for n in range(2)])
        chain = await whole_chain(database)
        assert [r.link.position for r in chain] == [1, 2, 3, 4, 5, 6]
        assert [r.link.previous for r in chain] == [
            START.hash,
            *(r.link.hash for r in chain[:-1]),
        ]
        assert all(audit_chain.is_authentic(KEY, r, r.link) for r in chain)

    async def test_what_is_read_tells_what_was_written(self, database):
        async with database.transaction() as stores:
            await stores.audit.append("1-0", ISSUED)
            [record] = await stores.audit.written(after=0, count=9)
        assert record.details == ISSUED.details
        for name in ("kind", "at", "client_id", "subject_id", "action", "challenge_id"):
            assert getattr(record, name) == getattr(ISSUED, name)

    async def test_the_chain_is_linear_however_many_append_at_once(self, database):
        async def append(number: int) -> None:
            async with database.transaction() as stores:
                await stores.audit.append_all([(f"{number}-{n}", ISSUED) for n in range(5)])

        await asyncio.gather(*(append(number) for number in range(8)))
        chain = await whole_chain(database)
        assert [r.link.position for r in chain] == list(range(1, 41))
        assert all(
            later.link.previous == earlier.link.hash for earlier, later in itertools.pairwise(chain)
        )

    async def test_a_refused_transaction_leaves_no_gap(self, database):
        async def record_and_refuse() -> None:
            async with database.transaction() as stores:
                await stores.audit.append("1-0", ISSUED)
                raise KeyError

        with pytest.raises(KeyError):
            await record_and_refuse()
        async with database.transaction() as stores:
            await stores.audit.append("1-1", ISSUED)
        assert await positions(database) == [1]

    async def test_reads_page_by_page(self, database):
        async with database.transaction() as stores:
            await stores.audit.append_all([(f"1-{n}", ISSUED) for n in range(5)])
            assert [r.entry_id for r in await stores.audit.chained(after=2, count=2)] == [
                "1-2",
                "1-3",
            ]
            written = await stores.audit.written(after=0, count=2)
            rest = await stores.audit.written(after=written[-1].seq, count=9)
        assert [r.entry_id for r in (*written, *rest)] == [f"1-{n}" for n in range(5)]

    async def test_the_head_is_the_last_of_the_chain(self, database):
        async with database.transaction() as stores:
            assert await stores.audit.last_chained() is None
            await stores.audit.append_all([("1-0", ISSUED), ("1-1", ACTIVATED)])
            assert (await stores.audit.last_chained()).entry_id == "1-1"

    async def test_what_a_release_without_a_chain_wrote_is_adopted_on_demand(
        self, database, write_unchained
    ):
        write_unchained("0-0", ISSUED)
        write_unchained("0-1", ACTIVATED)
        async with database.transaction() as stores:
            await stores.audit.append("1-0", ISSUED)
            assert [r.entry_id for r in await stores.audit.unchained(9)] == ["0-0", "0-1"]
            assert await stores.audit.count_unchained() == 2
            assert await positions(database, stores) == [1]
            assert await stores.audit.adopt(1) == 1
            assert await stores.audit.adopt(9) == 1
            assert await stores.audit.adopt(9) == 0
        chain = await whole_chain(database)
        assert [r.entry_id for r in chain] == ["1-0", "0-0", "0-1"]
        assert all(audit_chain.is_authentic(KEY, r, r.link) for r in chain)


async def whole_chain(database: Database, stores: Stores | None = None) -> Sequence[AuditRecord]:
    """Return the chain, as a transaction sees it or as it is committed."""
    if stores is not None:
        return await stores.audit.chained(after=0, count=1000)
    async with database.transaction() as fresh:
        return await fresh.audit.chained(after=0, count=1000)


async def positions(database: Database, stores: Stores | None = None) -> list[int]:
    """Return the positions of the chain."""
    return [record.link.position for record in await whole_chain(database, stores)]
