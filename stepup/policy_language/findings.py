"""What is wrong with a document, where, and how to put it right.

A code never changes its meaning; `docs/policy.md` explains each. An error forbids the document's
use, a warning does not.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum

import msgspec

# Whoever made a thousand mistakes made one of them a thousand times.
MAX_FINDINGS = 200
# A name in a message may be as long as a document.
MAX_MESSAGE = 400


class Severity(StrEnum):
    """Whether a document may be used in spite of a finding."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """One code per kind of mistake."""

    SYNTAX = "SU001"
    TOO_LARGE = "SU002"
    FORBIDDEN_YAML = "SU003"
    DUPLICATE_KEY = "SU004"
    AMBIGUOUS_SCALAR = "SU005"
    HIDDEN = "SU006"
    UNKNOWN_FIELD = "SU010"
    MISSING_FIELD = "SU011"
    WRONG_VALUE = "SU012"
    NOT_SUPPORTED_YET = "SU013"
    CONTRADICTION = "SU014"
    NOT_ENROLLABLE = "SU015"
    UNKNOWN_LEVEL = "SU020"
    UNREACHABLE_LEVEL = "SU021"
    UNKNOWN_ATTRIBUTE = "SU022"
    DUPLICATE_ID = "SU023"
    RESERVED_NAME = "SU024"
    UNREACHABLE_RULE = "SU025"
    MISSING_DEFAULT = "SU026"
    DEAD_GUARDRAIL = "SU027"
    DEAD_ATTRIBUTE = "SU028"
    BOUND_UNSEEN = "SU029"
    CONDITION = "SU030"
    CONDITION_TYPE = "SU031"
    CONDITION_LIMIT = "SU032"
    UNGUARDED_OPTIONAL = "SU033"
    SEEN_UNBOUND = "SU034"
    SWITCHED_OFF = "SU035"
    TOO_YOUNG = "SU036"
    PUNISHED_STRENGTH = "SU037"
    TEST_FAILED = "SU040"


class Place(msgspec.Struct, frozen=True):
    """A spot in a document: line and column from 1, and the path that leads there.

    `file` is empty where there is only one.
    """

    line: int = 1
    column: int = 1
    path: str = ""
    file: str = ""

    def __truediv__(self, key: str | int) -> str:
        if isinstance(key, int):
            return f"{self.path}[{key}]"
        if not key.isidentifier():
            return f'{self.path}["{key}"]'
        return f"{self.path}.{key}" if self.path else key


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to put right."""

    code: Code
    severity: Severity
    message: str
    line: int
    column: int
    path: str = ""
    file: str = ""

    def __str__(self) -> str:
        where = (
            f"{self.file}:{self.line}:{self.column}" if self.file else f"{self.line}:{self.column}"
        )
        path = f" ({self.path})" if self.path else ""
        return f"{where}: {self.code.value} {self.severity.value}: {self.message}{path}"

    @property
    def is_error(self) -> bool:
        """Say whether it forbids the document's use."""
        return self.severity is Severity.ERROR


class Findings:
    """Collects findings while a document is read; reading goes on after a mistake.

    A document that is `in_force` was accepted before, perhaps by an earlier release.
    """

    def __init__(self, *, in_force: bool = False) -> None:
        self._in_force = in_force
        # In order, and without saying a thing twice.
        self._found: dict[Finding, None] = {}
        self._has_errors = False

    def error(self, code: Code, message: str, at: Place) -> None:
        """Add what forbids the document's use."""
        self._add(code, Severity.ERROR, message, at)

    def refuse_if_new(self, code: Code, message: str, at: Place) -> None:
        """Add what earlier releases let pass: an upgrade must not leave a service without policy."""
        (self.warn if self._in_force else self.error)(code, message, at)

    def warn(self, code: Code, message: str, at: Place) -> None:
        """Add what is probably not meant."""
        self._add(code, Severity.WARNING, message, at)

    def all(self) -> list[Finding]:
        """Return every finding in the order of the document."""
        return sorted(self._found, key=lambda finding: (finding.file, finding.line, finding.column))

    @property
    def is_full(self) -> bool:
        """Say whether further findings are left out."""
        return len(self._found) >= MAX_FINDINGS

    @property
    def has_errors(self) -> bool:
        """Say whether the document must not be used."""
        return self._has_errors

    def _add(self, code: Code, severity: Severity, message: str, at: Place) -> None:
        found = Finding(
            code=code,
            severity=severity,
            message=printable(message),
            line=at.line,
            column=at.column,
            path=printable(at.path),
            file=printable(at.file),
        )
        # The first error is kept whatever came before it: it forbids the document's use.
        if not self.is_full or found.is_error > self._has_errors:
            self._found[found] = None
        self._has_errors = self._has_errors or found.is_error


def printable(text: str) -> str:
    """Escape a text, and shorten it to the length of a message."""
    return escaped(text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "...")


def escaped(text: str) -> str:
    """Write a text so that no character of it moves a cursor or hides another."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name; failing that, list them all when they are few."""
    names = sorted(known)
    folded = {known_name.casefold(): known_name for known_name in names}
    # Whoever writes a name of a thousand characters did not mean one of ours.
    near = get_close_matches(name[:100].casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{folded[near[0]]}`?"
    if 0 < len(names) <= 20:
        return "; known here: " + ", ".join(names)
    return ""
