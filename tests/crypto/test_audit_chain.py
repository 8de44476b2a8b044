"""The chain's arithmetic: what a hash covers, and that it never changes between releases."""

from datetime import timedelta, timezone

import msgspec
import pytest

from stepup.crypto import audit_chain
from stepup.crypto.audit_chain import START, ChainHead
from stepup.domain.ids import ChallengeId
from tests.contracts.audit import ACTIVATED, ISSUED, KEY
from tests.support.determinism import NOON
from tests.support.memory_database import record_of

FIRST, SECOND = audit_chain.links(KEY, START, [("1-0", ISSUED), ("1-1", ACTIVATED)])
RECORD = record_of(1, "1-0", ISSUED)


def test_an_old_log_verifies_with_every_later_release():
    """Pinned: a change of the canonical form would make every log that exists look forged."""
    assert FIRST.hash.hex() == "4973788916c4d2fdebf001aae5b808612d619fff56a1e96b6f0427127a5b9f9e"


def test_positions_begin_with_one_and_each_link_holds_the_hash_before_it():
    assert (FIRST.position, FIRST.previous) == (1, bytes(32))
    assert (SECOND.position, SECOND.previous) == (2, FIRST.hash)


@pytest.mark.parametrize(
    "changes",
    [
        {"entry_id": "1-1"},
        {"kind": "token.revoked"},
        {"at": NOON + timedelta(microseconds=1)},
        {"client_id": None},
        {"subject_id": "s-2"},
        {"action": ""},
        {"challenge_id": ChallengeId("r1.c-2")},
        {"details": {**ISSUED.details, "n": 4}},
        {"details": {**ISSUED.details, "n": "3"}},
        {"details": {**ISSUED.details, "once": 1}},
        {"details": {}},
        {"details": None},
    ],
    ids=str,
)
def test_every_part_of_an_entry_is_covered(changes):
    assert audit_chain.is_authentic(KEY, RECORD, FIRST)
    changed = msgspec.structs.replace(RECORD, **changes)
    assert not audit_chain.is_authentic(KEY, changed, FIRST)


def test_the_hash_before_and_the_key_are_covered():
    moved = msgspec.structs.replace(FIRST, previous=b"\x01" * 32)
    assert not audit_chain.is_authentic(KEY, RECORD, moved)
    assert not audit_chain.is_authentic(bytes(32), RECORD, FIRST)


def test_neither_the_time_zone_nor_the_order_of_details_matters():
    east = timezone(timedelta(hours=9))
    same = msgspec.structs.replace(
        RECORD, at=NOON.astimezone(east), details=dict(reversed(ISSUED.details.items()))
    )
    assert audit_chain.is_authentic(KEY, same, FIRST)


def test_a_head_reads_as_it_was_written():
    head = ChainHead(FIRST.position, FIRST.hash)
    assert ChainHead.parse(str(head)) == head


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "1:zz", ":" + "00" * 32, "-1:" + "00" * 32, "1:00"]
)
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  the message is the standard library's
        ChainHead.parse(text)
