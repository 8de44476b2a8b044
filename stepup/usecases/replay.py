"""Run a draft over recorded decisions: what would change, for whom, and who could not pass.

Records are read a page at a time, newest first, and decided again in the workshop; what is kept of
them is counted, so that memory does not grow with the number of records but with that of people.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from stepup.domain.ids import ActionName
from stepup.domain.policy_errors import ReplayRunningError
from stepup.domain.recorded_decision import RecordedDecision
from stepup.domain.replay import Tally
from stepup.domain.replay_report import Abilities, ReplayReport, report_of
from stepup.ports import DecisionPlace, DecisionQuery, Ports
from stepup.ports.workshop import Workshop
from stepup.usecases.policies import get_active
from stepup.usecases.replay_part import Written, encode_records, ladder_of, replay_part

MOST_RECORDS = 100_000
_PAGE = 1000
# A page is done in a fifth of a second; the first one waits until two large documents are read.
_PAGE_LIMIT = timedelta(minutes=1)

# A replay is heavy, and a second one would only make both of them late. Of this process: several
# event loops never share one in earnest, and a lock of asyncio belongs to one.
_turn = threading.Lock()


class ReplayQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Which document, and which recorded decisions: the newest of those that agree.

    `enforced` to take everything in the document for enforced, whatever modes it has.
    """

    document: str
    since: datetime | None = None
    until: datetime | None = None
    actions: frozenset[ActionName] | None = None
    limit: int = MOST_RECORDS
    enforced: bool = False


async def replay(
    ports: Ports,
    workshop: Workshop,
    asked: ReplayQuestion,
    *,
    at_once: int = 1,
    on_progress: Callable[[int], object] = lambda _recorded: None,
) -> ReplayReport:
    """Decide recorded decisions again under a document and under the active version.

    Raises:
        PolicyInvalidError: If the document has errors.
        PolicyNotFoundError: If no version is active.
        ReplayRunningError: If this process is at one already.
        TookTooLongError: If a page takes longer than any that is in order.
    """
    with _taking_turns():
        found = await get_active(ports)
        active = Written(found.version, found.document)
        ladder = await workshop.run(ladder_of, asked.document, limit=_PAGE_LIMIT)
        return await _Replay(
            ports, workshop, active, asked, Abilities(ladder, ports.clock.now())
        ).report(at_once, on_progress)


class _Replay:
    """One replay, from its first page to its report."""

    def __init__(
        self,
        ports: Ports,
        workshop: Workshop,
        active: Written,
        asked: ReplayQuestion,
        abilities: Abilities,
    ) -> None:
        self._ports = ports
        self._workshop = workshop
        self._active = active
        self._asked = asked
        self._draft = Written(0, asked.document, enforced=asked.enforced)
        self._abilities = abilities
        self._tally = Tally()
        self._past: dict[int, Written | None] = {}
        self._is_complete = True

    async def report(self, at_once: int, on_progress: Callable[[int], object]) -> ReplayReport:
        """Do all pages, some at once; the next one is read meanwhile."""
        running: deque[asyncio.Task[Tally]] = deque()
        try:
            async for page in self._pages():
                running.append(asyncio.create_task(self._replayed(page)))
                if len(running) > at_once:
                    await self._count(await running.popleft(), on_progress)
            while running:
                await self._count(await running.popleft(), on_progress)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return report_of(
            self._tally,
            self._abilities,
            active_version=self._active.version,
            is_complete=self._is_complete,
        )

    async def _pages(self) -> AsyncIterator[Sequence[RecordedDecision]]:
        asked, after, left = self._asked, None, self._asked.limit
        query = DecisionQuery(since=asked.since, until=asked.until, actions=asked.actions)
        while True:
            count = min(_PAGE, left)
            async with self._ports.database.transaction() as stores:
                page = await stores.decisions.page(query, after=after, count=max(count, 1))
            if page and not left:
                self._is_complete = False
            if not page or not left:
                return
            yield page
            left -= len(page)
            after = DecisionPlace(page[-1].at, page[-1].id)

    async def _replayed(self, page: Sequence[RecordedDecision]) -> Tally:
        past = await self._past_of(page)
        records = encode_records(page)
        return await self._workshop.run(
            replay_part, self._active, self._draft, past, records, limit=_PAGE_LIMIT
        )

    async def _past_of(self, page: Sequence[RecordedDecision]) -> tuple[Written, ...]:
        versions = {recorded.policy_version for recorded in page} - {self._active.version}
        unknown = versions - self._past.keys()
        if unknown:
            async with self._ports.database.transaction() as stores:
                for version in sorted(unknown):
                    found = await stores.policies.find(version)
                    self._past[version] = Written(version, found.document) if found else None
        return tuple(known for version in sorted(versions) if (known := self._past[version]))

    async def _count(self, tally: Tally, on_progress: Callable[[int], object]) -> None:
        unknown = self._abilities.unknown(tally.prompts)
        if unknown:
            async with self._ports.database.transaction() as stores:
                enrolled = await stores.authenticators.of_subjects(unknown)
            for prompt, prompted in tally.prompts.items():
                if prompt.subject in enrolled:
                    self._abilities.judge(prompt, prompted, enrolled[prompt.subject])
        # What is judged need not be kept: a hundred thousand prompts are a hundred megabytes.
        tally.prompts.clear()
        self._tally.add(tally)
        on_progress(self._tally.recorded)


@contextmanager
def _taking_turns() -> Iterator[None]:
    if not _turn.acquire(blocking=False):
        raise ReplayRunningError
    try:
        yield
    finally:
        _turn.release()
