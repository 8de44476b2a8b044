"""What the proof of the audit log promises: whatever is done to the log, it is found and named."""

from datetime import timedelta
from typing import Protocol

import pytest

from stepup.crypto.audit_chain import START, ChainHead
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Ports
from stepup.usecases import audit
from stepup.usecases.audit import Fault
from tests.contracts.audit import ACTIVATED, ISSUED, KEY
from tests.usecases.test_drain import AwayAtFirst

ENTRIES = 6


class Attacker(Protocol):
    """Somebody who may write what he likes to the tables, and has no key."""

    def change(self, position: int) -> None:
        """Change what an entry tells."""

    def remove(self, *positions: int) -> None:
        """Remove entries."""

    def move(self, position: int, to: int) -> None:
        """Give an entry another, free position."""

    def forge(self, position: int) -> None:
        """Put an entry at a free position, chained as well as one can without the key."""

    def copy(self, position: int, to: int) -> None:
        """Put an entry in once more, at a free position, with the link it has."""

    def write_outside(self, entry_id: str, event: AuditEvent) -> None:
        """Write an entry without a link, as the release before did."""


class AuditProofContract:
    """Subclass it and provide `ports` and `attacker`, over one empty log."""

    @pytest.fixture
    async def log(self, ports: Ports) -> Ports:
        async with ports.database.transaction() as stores:
            await stores.audit.append_all(
                [(f"1-{n}", ISSUED if n % 2 else ACTIVATED) for n in range(ENTRIES)]
            )
        return ports

    @pytest.fixture(autouse=True, params=[2, 3, audit.PAGE])
    def page(self, request, monkeypatch):
        """Faults lie on both sides of a page's end."""
        monkeypatch.setattr(audit, "PAGE", request.param)

    async def test_an_empty_log_holds(self, ports):
        verified = await audit.verify(ports, KEY)
        assert verified.holds
        assert verified.head == await audit.head(ports) == START

    async def test_a_log_that_nobody_touched_holds(self, log):
        verified = await audit.verify(log, KEY)
        assert verified.holds
        assert verified.head == await audit.head(log)
        assert verified.head.position == ENTRIES

    @pytest.mark.parametrize("position", [1, 3, ENTRIES])
    async def test_a_changed_row_is_found(self, log, attacker, position):
        attacker.change(position)
        assert await broken(log) == (Fault.CHANGED, position)

    @pytest.mark.parametrize("position", [1, 2, 4, ENTRIES - 1])
    async def test_a_deleted_row_is_found(self, log, attacker, position):
        attacker.remove(position)
        assert await broken(log) == (Fault.MISSING, position)

    async def test_a_deleted_row_is_found_when_the_gap_is_closed(self, log, attacker):
        attacker.remove(3)
        for position in range(4, ENTRIES + 1):
            attacker.move(position, position - 1)
        assert await broken(log) == (Fault.MISSING, 3)

    async def test_a_beginning_that_was_cut_off_is_found(self, log, attacker):
        attacker.remove(1, 2, 3)
        assert await broken(log) == (Fault.MISSING, 1)

    @pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 3), (2, 5), (1, ENTRIES)])
    async def test_swapped_rows_are_found(self, log, attacker, one, other):
        attacker.move(one, 99)
        attacker.move(other, one)
        attacker.move(99, other)
        assert await broken(log) == (Fault.REORDERED, one)

    @pytest.mark.parametrize("position", [1, 3, ENTRIES])
    async def test_an_inserted_row_is_found(self, log, attacker, position):
        for later in range(ENTRIES, position - 1, -1):
            attacker.move(later, later + 1)
        attacker.forge(position)
        assert await broken(log) == (Fault.INSERTED, position)

    async def test_a_row_inserted_at_the_end_is_found(self, log, attacker):
        attacker.forge(ENTRIES + 1)
        assert await broken(log) == (Fault.CHANGED, ENTRIES + 1)

    async def test_an_entry_written_over_by_another_authentic_one_is_found(self, log, attacker):
        attacker.remove(4)
        attacker.copy(2, 4)
        assert await broken(log) == (Fault.CHANGED, 4)

    async def test_a_truncated_tail_is_found_with_a_head_that_was_kept(self, log, attacker):
        kept = await audit.head(log)
        attacker.remove(5, 6)
        assert (await audit.verify(log, KEY)).holds
        assert await broken(log, kept) == (Fault.TRUNCATED, 5)

    async def test_a_log_that_was_begun_anew_is_found_with_a_head_that_was_kept(
        self, log, attacker
    ):
        kept = await audit.head(log)
        attacker.remove(*range(1, ENTRIES + 1))
        assert await broken(log, kept) == (Fault.TRUNCATED, 1)
        async with log.database.transaction() as stores:
            await stores.audit.append_all([(f"2-{n}", ISSUED) for n in range(9)])
        assert (await audit.verify(log, KEY)).holds
        assert await broken(log, kept) == (Fault.REPLACED, ENTRIES)

    async def test_a_log_that_grew_holds_with_an_old_head(self, log):
        kept = await audit.head(log)
        async with log.database.transaction() as stores:
            await stores.audit.append("2-0", ISSUED)
        verified = await audit.verify(log, KEY, kept)
        assert verified.holds
        assert verified.head.position == ENTRIES + 1

    async def test_a_chain_computed_under_another_key_is_found(self, log):
        verified = await audit.verify(log, bytes(32))
        assert verified.broken is not None
        assert (verified.broken.fault, verified.broken.position) == (Fault.CHANGED, 1)

    async def test_a_row_written_beside_the_chain_is_found(self, log, attacker):
        attacker.write_outside("0-1", ISSUED)
        verified = await audit.verify(log, KEY)
        assert not verified.holds
        assert (verified.broken, verified.unchained) == (None, 1)

    async def test_one_slow_page_does_not_end_the_proof(self, log, monkeypatch):
        monkeypatch.setattr(audit, "_PAUSES", (timedelta(0),))
        slow = log._replace(database=AwayAtFirst(log.database, times=1))
        assert (await audit.verify(slow, KEY)).holds
        away = log._replace(database=AwayAtFirst(log.database, times=2))
        with pytest.raises(DependencyUnavailableError):
            await audit.verify(away, KEY)

    async def test_the_first_of_two_faults_is_named(self, log, attacker):
        attacker.remove(5)
        attacker.change(2)
        assert await broken(log) == (Fault.CHANGED, 2)

    async def test_what_the_release_before_wrote_is_adopted_and_the_log_says_so(
        self, log, attacker, monkeypatch
    ):
        monkeypatch.setattr(audit, "_ADOPTED_AT_ONCE", 2)
        for number in range(3):
            attacker.write_outside(f"0-{number}", ISSUED)
        assert await audit.adopt(log) == 3
        assert await audit.adopt(log) == 0

        assert (await audit.verify(log, KEY)).holds
        said = [r.details for r in await exported(log) if r.kind == AuditKind.AUDIT_LOG_ADOPTED]
        assert said == [{"count": 2}, {"count": 1}]

    async def test_exports_every_entry_of_a_time_span(self, log, attacker):
        attacker.write_outside("0-1", ISSUED)
        assert [r.entry_id for r in await exported(log)] == [
            *(f"1-{n}" for n in range(ENTRIES)),
            "0-1",
        ]
        assert len([r async for r in audit.export(log, since=ISSUED.at)]) == ENTRIES + 1
        assert [r async for r in audit.export(log, until=ISSUED.at)] == []


async def broken(ports: Ports, known: ChainHead | None = None) -> tuple[Fault, int]:
    """Return the first fault and its position."""
    verified = await audit.verify(ports, KEY, known)
    assert verified.broken is not None
    assert not verified.holds
    return verified.broken.fault, verified.broken.position


async def exported(ports: Ports) -> list:
    """Return everything."""
    return [record async for record in audit.export(ports)]
