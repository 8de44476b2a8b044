"""What the verbs that change a policy need of a service, whichever way it is reached."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from stepup.domain.ids import DraftId

APPLIED = "stepup policy apply"
"""The author of a first version, and how the names of drafts begin that an `apply` makes."""
_LONGEST_NAME = 200


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version, as far as the verbs look at it."""

    version: int
    document: str
    author: str
    activated_at: datetime
    note: str = ""
    rolled_back_from: int | None = None

    @property
    def is_applied(self) -> bool:
        """Say whether an `apply` made it, and not a console, a rollback or another program."""
        return self.rolled_back_from is None and (
            self.author == APPLIED or self.note.startswith(APPLIED)
        )


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that waits: for approvals of others, or for somebody who may activate."""

    draft: DraftId
    missing: str


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """What a service finds wrong or doubtful in a document, in its own words."""

    code: str
    severity: str
    message: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.code} {self.severity}: {self.message}"


class Service(Protocol):
    """A service, over its database on the host or over its admin API."""

    async def find_active(self) -> Version | None:
        """Return the active version, None before the first."""
        ...

    async def get(self, number: int) -> Version:
        """Return a version, or end the command with one line."""
        ...

    async def check(self, text: str) -> Sequence[Remark]:
        """Say what the release that would decide by it finds in a document."""
        ...

    async def activate(self, text: str, source: str, *, replacing: int) -> int | Pending:
        """Make a document the active version in place of the one that the operator has seen.

        Ends the command when another one became active meanwhile.
        """
        ...

    async def force(self, text: str, reason: str) -> int:
        """Make a document the active version without the approvals that it needs."""
        ...

    async def roll_back(self, number: int, reason: str) -> int:
        """Make the text of an earlier version the active one again, as a new version."""
        ...


def draft_name(source: str) -> str:
    """Name the draft that an `apply` makes: by it the version is known again."""
    printable = "".join(character for character in source if character.isprintable())
    return f"{APPLIED} {printable}"[:_LONGEST_NAME]
