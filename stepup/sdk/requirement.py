"""What a service demands before it does something: one frozen value, all of it checked together."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, init=False)
class Requirement:
    """The authentication that an action needs.

    Every condition must hold; there is none that a missing claim could skip. `level` is the least
    acr, `max_age` how many seconds ago the ceremony may have been, `bind` the names of the values
    that the approval must have been made for, and `once` says that the caller will use the token
    up with `consume`. A `max_age` of 0 with `bind` or `once` means a ceremony for this very action,
    which the token's own short life keeps fresh.
    """

    action: str
    level: str
    max_age: int | None
    bind: tuple[str, ...]
    once: bool

    def __init__(
        self,
        action: str,
        *,
        level: str,
        max_age: int | timedelta | None = None,
        bind: tuple[str, ...] = (),
        once: bool = False,
    ) -> None:
        if isinstance(max_age, timedelta):
            max_age = int(max_age.total_seconds())
        # Requirements are written once, in code: a mistake in one must stop the start.
        _check_name("action", action)
        _check_name("level", level)
        _check_max_age(max_age)
        _check_bind(bind)
        if not isinstance(once, bool):
            raise TypeError("once is True or False")
        for name, value in (
            ("action", action),
            ("level", level),
            ("max_age", max_age),
            ("bind", bind),
            ("once", once),
        ):
            object.__setattr__(self, name, value)

    @property
    def needs_own_ceremony(self) -> bool:
        """Say whether only a token made for this very action will do."""
        return self.once or bool(self.bind)


def _check_name(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} is a string")
    if not value or len(value) > 200 or not value.isascii() or any(c <= " " for c in value):
        raise ValueError(f"{what} is 1 to 200 ASCII characters without spaces")


def _check_max_age(value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("max_age is a whole number of seconds or a timedelta")
    if value < 0:
        raise ValueError("max_age cannot be negative")


def _check_bind(value: object) -> None:
    # A forgotten comma makes a string of ("amount"), and a string is a sequence of letters.
    if not isinstance(value, tuple):
        raise TypeError('bind is a tuple of names, such as ("amount", "payee")')
    for name in value:
        _check_name("a name in bind", name)
    if len(set(value)) != len(value):
        raise ValueError("a name stands in bind twice")
