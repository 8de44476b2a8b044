"""The Lua scripts: read from the package once, loaded by every connection, called by digest."""

import hashlib
from collections.abc import Sequence
from enum import Enum
from importlib.resources import files

import msgspec

Argument = str | bytes | int
Command = tuple[Argument, ...]


class Fenced(Enum):
    """Which answers of a script count only from a server that still is the primary.

    A refusal counts too where it ends something: a deposed primary does not know what is new.
    """

    NOTHING = "nothing"
    REFUSALS = "refusals"
    ALL = "all"


class Script(msgspec.Struct, frozen=True):
    """One atomic operation."""

    name: str
    source: str
    sha: str
    fenced: Fenced

    def by_sha(self, keys: Sequence[str], args: Sequence[Argument]) -> Command:
        """Return the command that runs it where it is loaded."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)

    def by_source(self, keys: Sequence[str], args: Sequence[Argument]) -> Command:
        """Return the command that runs it anywhere, and loads it."""
        return ("EVAL", self.source, len(keys), *keys, *args)


def _read(name: str, fenced: Fenced = Fenced.NOTHING) -> Script:
    source = (files("stepup.adapters.redis") / "scripts" / f"{name}.lua").read_text("utf-8")
    # Redis names a script by this digest; nothing depends on its strength.
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, fenced)


ACCEPT_STEP = _read("accept_step", Fenced.ALL)
ANNOUNCE_CHANGE = _read("announce_change")
ANSWER_BY_SESSION = _read("answer_by_session", Fenced.ALL)
APPEND_ENTRIES = _read("append_entries")
APPEND_RECORDS = _read("append_records")
BEAT_REVOCATIONS = _read("beat_revocations")
BEGIN_ANSWER = _read("begin_answer", Fenced.ALL)
BEGIN_CEREMONY = _read("begin_ceremony")
BEGIN_GENERATION = _read("begin_generation", Fenced.ALL)
CANCEL_CHALLENGE = _read("cancel_challenge", Fenced.ALL)
CLAIM_BROWSER = _read("claim_browser", Fenced.REFUSALS)
CONFIRM_SNAPSHOT = _read("confirm_snapshot")
CONSUME_TOKEN = _read("consume_token", Fenced.ALL)
COUNT_SHADOW = _read("count_shadow")
FINISH_ANSWER = _read("finish_answer", Fenced.ALL)
FORGIVE_ATTEMPTS = _read("forgive_attempts")
ISSUE_CODE = _read("issue_code", Fenced.REFUSALS)
GIVE_PLACE = _read("give_place", Fenced.ALL)
KEEP_IN_SESSION = _read("keep_in_session")
KEEP_SNAPSHOT = _read("keep_snapshot")
OPEN_CHALLENGE = _read("open_challenge", Fenced.REFUSALS)
READ_CONFIRMATION = _read("read_confirmation")
OPEN_REFRESH = _read("open_refresh")
PLAN_MOVE = _read("plan_move")
RAISE_FLOOR = _read("raise_floor", Fenced.ALL)
READ_HASH = _read("read_hash")
READ_LIVE_REVOCATIONS = _read("read_live_revocations", Fenced.ALL)
READ_MARKS = _read("read_marks")
READ_PLACES = _read("read_places", Fenced.ALL)
READ_REVOCATIONS = _read("read_revocations", Fenced.ALL)
REDEEM_CODE = _read("redeem_code", Fenced.ALL)
RELEASE_CODE = _read("release_code", Fenced.ALL)
RELEASE_REFRESH = _read("release_refresh", Fenced.ALL)
REMEMBER_JTI = _read("remember_jti")
RENEW_GENERATION = _read("renew_generation")
RETIRE_AUTHENTICATOR = _read("retire_authenticator", Fenced.ALL)
REVOKE_TOKEN = _read("revoke_token", Fenced.ALL)
ROTATE_REFRESH = _read("rotate_refresh", Fenced.ALL)
SPEND_ATTEMPT = _read("spend_attempt")
SPEND_RECOVERY_CODE = _read("spend_recovery_code", Fenced.ALL)
TAKE_ONCE = _read("take_once", Fenced.ALL)

ALL = tuple(value for value in tuple(globals().values()) if isinstance(value, Script))
