"""Recorded decisions as administrators read them: a page, one of them, one of them as a test."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from stepup.crypto import digests
from stepup.domain.errors import DecisionNotFoundError, InvalidRequestError
from stepup.domain.ids import ActionName, DecisionId
from stepup.domain.recorded_decision import RecordedDecision
from stepup.policy_language.saved_test import written_as_test
from stepup.ports import DecisionPlace, DecisionQuery, Ports


class Page(msgspec.Struct, frozen=True):
    """Some records, newest first; `next_token` is empty with the last ones."""

    records: Sequence[RecordedDecision]
    next_token: str = ""


class SavedTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test as a document's `tests` have it, and the action that it belongs to.

    `left_out` names what only a digest is known of: whoever keeps the test puts values there.
    """

    action: ActionName
    test: dict[str, Any]
    left_out: list[str]


async def find_page(ports: Ports, query: DecisionQuery, token: str, count: int) -> Page:
    """Return the newest records, or those behind the page that gave the token.

    Raises:
        InvalidRequestError: If the token is none of ours.
    """
    after = _read_place(token) if token else None
    async with ports.database.transaction() as stores:
        found = await stores.decisions.page(query, after=after, count=count + 1)
    records = found[:count]
    return Page(records, _write_place(records[-1])) if len(found) > count else Page(records)


async def get(ports: Ports, identifier: DecisionId) -> RecordedDecision:
    """Return one record.

    Raises:
        DecisionNotFoundError: If there is none of this name: never, not any more, or not yet.
    """
    async with ports.database.transaction() as stores:
        found = await stores.decisions.find(identifier)
    if found is None:
        raise DecisionNotFoundError
    return found


async def get_as_test(ports: Ports, identifier: DecisionId) -> SavedTest:
    """Return one record as a test of its action.

    Raises:
        DecisionNotFoundError: If there is none of this name.
    """
    recorded = await get(ports, identifier)
    return SavedTest(
        action=recorded.request.action,
        test=written_as_test(recorded, ports.snapshot.policy),
        left_out=sorted(recorded.digested),
    )


def _write_place(record: RecordedDecision) -> str:
    return digests.encode(f"{record.at.isoformat()} {record.id}".encode())


def _read_place(token: str) -> DecisionPlace:
    try:
        at, _, identifier = digests.decode(token).decode().partition(" ")
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise InvalidRequestError("The page token is not valid; begin again without one.") from None
    if moment.tzinfo is None or "\0" in identifier:
        raise InvalidRequestError("The page token is not valid; begin again without one.")
    return DecisionPlace(moment, DecisionId(identifier))
