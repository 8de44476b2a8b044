"""The part of a replay that is done in the workshop: pure, and given everything it needs.

Documents come as text, because a policy cannot be sent to another process; it is read once there.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from stepup.domain.assurance import Ladder
from stepup.domain.errors import PolicyInvalidError
from stepup.domain.policy import Policy
from stepup.domain.recorded_decision import RecordedDecision
from stepup.domain.redeciding import Redecider
from stepup.domain.replay import Replayer, Tally
from stepup.policy_language import document

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[RecordedDecision])


class Written(NamedTuple):
    """A version as it was written; `enforced` to take no heed of its modes."""

    version: int
    text: str
    enforced: bool = False


def encode_records(records: Sequence[RecordedDecision]) -> bytes:
    """Write records for `replay_part`, which costs a fifth of pickling them."""
    return _encoder.encode(records)


def ladder_of(text: str) -> Ladder:
    """Check a draft, and return its levels.

    Raises:
        PolicyInvalidError: If it has errors.
    """
    return _read(Written(0, text)).ladder


def replay_part(
    active: Written, draft: Written, past: tuple[Written, ...], records: bytes
) -> Tally:
    """Decide some records again under both policies, and count."""
    known = {written.version: written for written in past}

    def policy_of(version: int) -> Policy | None:
        if version == active.version:
            return _read(active, in_force=True)
        return _readable(known[version]) if version in known else None

    replayer = Replayer(
        Redecider(_read(active, in_force=True), policy_of),
        Redecider(_read(draft), policy_of),
    )
    tally = Tally()
    for recorded in _decoder.decode(records):
        replayer.replay(recorded, tally)
    return tally


def _readable(written: Written) -> Policy | None:
    try:
        return _read(written, in_force=True)
    except PolicyInvalidError:
        # What an older release accepted; its records are taken for what they show.
        return None


# The two that are compared, and the versions that recorded decisions were made by.
@lru_cache(maxsize=16)
def _read(written: Written, *, in_force: bool = False) -> Policy:
    policy = document.parse(
        written.text, version=written.version, tests=not in_force, in_force=in_force
    )
    return policy.enforced() if written.enforced else policy
