"""The Lua scripts: read from the package once, loaded by every connection, called by digest."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

import msgspec

Argument = str | bytes | int
Command = tuple[Argument, ...]


class Script(msgspec.Struct, frozen=True):
    """One atomic operation."""

    name: str
    source: str
    sha: str

    def by_sha(self, keys: Sequence[str], args: Sequence[Argument]) -> Command:
        """Return the command that runs it where it is loaded."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)

    def by_source(self, keys: Sequence[str], args: Sequence[Argument]) -> Command:
        """Return the command that runs it anywhere, and loads it."""
        return ("EVAL", self.source, len(keys), *keys, *args)


def _read(name: str) -> Script:
    source = (files("stepup.adapters.redis") / "scripts" / f"{name}.lua").read_text("utf-8")
    # Redis names a script by this digest; nothing depends on its strength.
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


ACCEPT_STEP = _read("accept_step")
ANNOUNCE_CHANGE = _read("announce_change")
APPEND_ENTRIES = _read("append_entries")
BEGIN_ANSWER = _read("begin_answer")
BEGIN_CEREMONY = _read("begin_ceremony")
CANCEL_CHALLENGE = _read("cancel_challenge")
CLAIM_BROWSER = _read("claim_browser")
CONSUME_TOKEN = _read("consume_token")
FINISH_ANSWER = _read("finish_answer")
FORGIVE_ATTEMPTS = _read("forgive_attempts")
ISSUE_CODE = _read("issue_code")
OPEN_CHALLENGE = _read("open_challenge")
READ_HASH = _read("read_hash")
REDEEM_CODE = _read("redeem_code")
REMEMBER_JTI = _read("remember_jti")
RETIRE_AUTHENTICATOR = _read("retire_authenticator")
REVOKE_TOKEN = _read("revoke_token")
SPEND_ATTEMPT = _read("spend_attempt")
TAKE_ONCE = _read("take_once")

ALL = tuple(value for value in tuple(globals().values()) if isinstance(value, Script))
