"""What became of a command that has no reply: kinds of trouble, and who may repeat.

What was not executed may be repeated by anybody. What was lost may be repeated by an attempt that
the server will know again, unless the server is too slow to answer anyway. The rest is final.
"""

from typing import ClassVar

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from stepup.adapters.redis.endpoint import Address

# These replies come before any effect, because every script has a shebang line (pins P8, P9).
_NOT_EXECUTED = frozenset(
    (
        "READONLY",
        "NOSCRIPT",
        "LOADING",
        "NOREPLICAS",
        "OOM",
        "MASTERDOWN",
        "BUSY",
        "MOVED",
        "ASK",
        "TRYAGAIN",
        "CLUSTERDOWN",
    )
)


class CommandTrouble(Exception):  # noqa: N818  a family; its members end in Error
    """A command without a usable reply. `unknown` when it may have had its effect."""

    unknown: ClassVar[bool] = False


class NotExecutedError(CommandTrouble):
    """The command had no effect."""


class ScriptMissingError(NotExecutedError):
    """The server does not have the script; it must be sent whole."""


class RedirectedError(NotExecutedError):
    """Another node of a Cluster has the key, or is being given it."""

    def __init__(self, error: AskError) -> None:
        super().__init__(str(error))
        self.address: Address = (error.host, error.port)
        # A key that is on its way is asked for once; one that has moved is always there now.
        self.asking = not isinstance(error, MovedError)


class NowhereError(NotExecutedError):
    """No server is known that has the key, so nothing was sent."""


class UnsentError(CommandTrouble):
    """The command waited too long, or in too long a queue, and was never written."""


class LostReplyError(CommandTrouble):
    """The command was written and nobody knows what became of it."""

    unknown = True

    def __init__(self, why: str, *, timed_out: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out


class FenceError(CommandTrouble):
    """A server answered that may not be the primary any more."""

    unknown = True


class ServerError(CommandTrouble):
    """The server refused in a way that nobody foresaw, perhaps half way through a script."""

    unknown = True


def is_reply(error: RedisError) -> bool:
    """Say whether the error is a reply, or means that the connection broke."""
    return isinstance(error, ResponseError | BusyLoadingError)


def trouble_of(error: RedisError) -> CommandTrouble:
    """Sort an error that came as a reply."""
    if isinstance(error, NoScriptError):
        return ScriptMissingError(str(error))
    if isinstance(error, AskError):
        return RedirectedError(error)
    # redis-py keeps the first word apart for the errors it has a class for.
    word = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return NotExecutedError(word) if word in _NOT_EXECUTED else ServerError(str(error))


def may_repeat(trouble: CommandTrouble, *, same_attempt: bool) -> bool:
    """Say whether sending the command again can do no harm, and may help."""
    match trouble:
        case NotExecutedError():
            return True
        case LostReplyError(timed_out=False) | FenceError():
            return same_attempt
        case _:
            return False
