"""The proof of the audit log over PostgreSQL and in memory, against who can write to either."""

import msgspec
import psycopg
import pytest

from stepup.domain.audit import AuditEvent, ChainLink
from stepup.ports import Ports
from stepup.usecases.audit import Fault
from tests.adapters.conftest import write_as_before_the_chain
from tests.contracts.audit import ISSUED
from tests.contracts.audit_proofs import AuditProofContract, broken, exported
from tests.support.application import memory_ports
from tests.support.memory_database import MemoryDatabase, record_of

COPY = """
INSERT INTO audit_event
  (entry_id, kind, at, client_id, subject_id, action, challenge_id, details,
   position, previous, hash)
SELECT entry_id || ' again', kind, at, client_id, subject_id, action, challenge_id, details,
   %s, previous, hash
FROM audit_event WHERE position = %s
"""


class AtTheTables:
    """An attacker with every right in the database: the trigger stops whoever has fewer."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")

    def change(self, position: int) -> None:
        self._run("UPDATE audit_event SET client_id = 'mallory' WHERE position = %s", position)

    def remove(self, *positions: int) -> None:
        self._run("DELETE FROM audit_event WHERE position = ANY(%s)", list(positions))

    def move(self, position: int, to: int) -> None:
        self._run("UPDATE audit_event SET position = %s WHERE position = %s", to, position)

    def forge(self, position: int) -> None:
        write_as_before_the_chain(self._connection, "forged", ISSUED)
        self._run(
            "UPDATE audit_event SET position = %s, hash = sha256('forged'), previous = coalesce("
            "(SELECT hash FROM audit_event WHERE position = %s), sha256('none')) "
            "WHERE entry_id = 'forged'",
            position,
            position - 1,
        )

    def copy(self, position: int, to: int) -> None:
        self._run(COPY, to, position)

    def write_outside(self, entry_id: str, event: AuditEvent) -> None:
        write_as_before_the_chain(self._connection, entry_id, event)

    def _run(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)


class InTheMemory:
    """The same without a database."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def change(self, position: int) -> None:
        self._replace(position, client_id="mallory")

    def remove(self, *positions: int) -> None:
        for position in positions:
            del self._rows[self._at(position)]

    def move(self, position: int, to: int) -> None:
        self._replace(position, link=self._link(position, to))

    def forge(self, position: int) -> None:
        link = ChainLink(position=position, previous=bytes(32), hash=b"\x01" * 32)
        record = record_of(len(self._rows) + 1, "forged", ISSUED)
        self._rows["forged"] = msgspec.structs.replace(record, link=link)

    def copy(self, position: int, to: int) -> None:
        original = self._rows[self._at(position)]
        again = f"{original.entry_id} again"
        self._rows[again] = msgspec.structs.replace(
            original, entry_id=again, link=self._link(position, to)
        )

    def write_outside(self, entry_id: str, event: AuditEvent) -> None:
        self._rows[entry_id] = record_of(len(self._rows) + 1, entry_id, event)

    @property
    def _rows(self):
        return self._database.tables.audit

    def _at(self, position: int) -> str:
        return next(r.entry_id for r in self._rows.values() if r.link.position == position)

    def _link(self, position: int, to: int) -> ChainLink:
        return msgspec.structs.replace(self._rows[self._at(position)].link, position=to)

    def _replace(self, position: int, **changes: object) -> None:
        entry_id = self._at(position)
        self._rows[entry_id] = msgspec.structs.replace(self._rows[entry_id], **changes)


class TestMemory(AuditProofContract):
    @pytest.fixture
    def ports(self) -> Ports:
        return memory_ports()

    @pytest.fixture
    def attacker(self, ports: Ports) -> InTheMemory:
        return InTheMemory(ports.database)

    async def test_a_row_put_before_the_first_is_found(self, log, attacker):
        """PostgreSQL refuses such a position, as long as nobody drops the constraint."""
        attacker.forge(-5)
        assert await broken(log) == (Fault.INSERTED, -5)


@pytest.mark.postgres
class TestPostgres(AuditProofContract):
    @pytest.fixture
    def ports(self, postgres, root) -> Ports:
        return memory_ports()._replace(database=postgres)

    @pytest.fixture
    def attacker(self, rows: psycopg.Connection) -> AtTheTables:
        return AtTheTables(rows)

    @pytest.mark.parametrize("at", ["infinity", "-infinity", "0044-03-15 12:00 BC"])
    async def test_a_time_that_is_none_is_a_changed_row_like_any_other(self, log, rows, at):
        AtTheTables(rows)
        rows.execute("UPDATE audit_event SET at = %s WHERE position = 6", [at])
        assert await broken(log) == (Fault.CHANGED, 6)
        async with log.database.transaction() as stores:
            await stores.audit.append("2-0", ISSUED)
        assert await broken(log) == (Fault.CHANGED, 6)

    async def test_a_row_moved_to_a_sequence_number_before_all_is_still_exported(self, log, rows):
        AtTheTables(rows)
        rows.execute("UPDATE audit_event SET seq = DEFAULT WHERE position = 2")
        rows.execute("ALTER TABLE audit_event ALTER seq SET GENERATED BY DEFAULT")
        try:
            rows.execute("UPDATE audit_event SET seq = -9 WHERE position = 3")
        finally:
            rows.execute("ALTER TABLE audit_event ALTER seq SET GENERATED ALWAYS")
        assert sorted(r.entry_id for r in await exported(log)) == [f"1-{n}" for n in range(6)]
