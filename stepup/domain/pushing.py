"""What an answer to a pushed SET means, and when to try again (RFC 8935 sections 2.2 to 2.4)."""

from datetime import timedelta

import msgspec

MAX_TRIES = 12
"""How often a receiver may answer a SET wrongly before the SET is set aside; about half an hour."""
MAX_SET_ASIDE = 5
"""How many in a row are set aside before the stream is paused."""

_LONGEST = timedelta(minutes=5)
_ACCEPTED = 202
_REFUSED = 400
# Whoever answers so has not looked at the SET: it is about our credentials, or about load.
_NOT_ABOUT_THE_SET = frozenset({401, 403, 407, 408, 429, 502, 503, 504})


class Delivered(msgspec.Struct, frozen=True):
    """The receiver has it."""


class Refused(msgspec.Struct, frozen=True):
    """The receiver does not want it, and never will."""

    problem: str


class Again(msgspec.Struct, frozen=True):
    """It may work later; `counts` when the SET itself may be what the receiver cannot bear."""

    problem: str
    counts: bool = True


Verdict = Delivered | Refused | Again


class _Error(msgspec.Struct, frozen=True):
    err: str


def verdict(status: int, body: bytes) -> Verdict:
    """Read a receiver's answer: only 202 is success (RFC 8935 section 2.2).

    What `description` says is the receiver's text, and is not kept.
    """
    if status == _ACCEPTED:
        return Delivered()
    if status == _REFUSED:
        try:
            err = msgspec.json.decode(body, type=_Error).err
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Again(problem="http_400")
        if err == "authentication_failed":
            return Again(problem=err, counts=False)
        return Refused(problem=err if err.isidentifier() and len(err) <= 40 else "other")
    return Again(problem=f"http_{status}", counts=status not in _NOT_ABOUT_THE_SET)


def pause_after(failures: int, chance: float) -> timedelta:
    """Compute how long to wait after so many failures in a row: exponential, with jitter.

    `chance` lies in [0, 1): receivers that failed together are not asked together again.
    """
    longest = min(timedelta(seconds=2 ** min(failures, 10)), _LONGEST)
    return longest * (0.5 + chance / 2)
