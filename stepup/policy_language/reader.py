"""YAML or JSON text to values that know their place.

Only what both languages agree on is read: no aliases, anchors or tags, no key twice, at most 32
levels, at most one document. A plain word that YAML 1.1 takes for something else (`no`, `on`,
`1:30`) is text here, and a warning says so.
"""

import re
from collections.abc import Iterator, Mapping
from math import isfinite

import msgspec
import yaml
from msgspec.structs import replace

from stepup.policy_language.findings import Code, Findings, Place

# A document is written by people: a thousand actions with twenty rules each fit well below.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32

_QUOTE = "; in braces and brackets quote what has commas or quotes: '...'"

Plain = str | int | float | bool | list["Plain"] | dict[str, "Plain"] | None

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, bool | None] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
}
_YAML_1_1 = re.compile(
    r"(?:y|n|yes|no|on|off|true|false|null|[-+]?0[0-9_]+|[-+]?0[xob][0-9a-f_]+"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?|[-+]?\.inf|\.nan)\Z",
    re.IGNORECASE,
)
# `mode: off` means what it says in every reading.
_MODE = re.compile(r"(^|\.)mode\Z")
# What no reader of a document sees: it moves the cursor, turns the order of what follows around, or
# has no width. Marks that languages need (joiners, direction marks, soft hyphens) are not among it.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar(msgspec.Struct, frozen=True):
    """A single value.

    `first` is where its text begins, when each of its lines is one of the document's; None when
    it was folded.
    """

    value: str | int | float | bool | None
    at: Place
    first: Place | None = None

    def place_of(self, line: int, column: int) -> Place:
        """Translate a place inside the text to a place in the document."""
        if self.first is None:
            return self.at
        if line == 1:
            return replace(self.first, column=self.first.column + column - 1, path=self.at.path)
        # Only block scalars have a second line here, and all their lines are indented alike.
        return replace(
            self.first,
            line=self.first.line + line - 1,
            column=self.first.column + column - 1,
            path=self.at.path,
        )


class Listing(msgspec.Struct, frozen=True):
    """A list of nodes."""

    items: list["Node"]
    at: Place


class Entry(msgspec.Struct, frozen=True):
    """One field of a mapping; `at` is its key's place."""

    at: Place
    node: "Node"


class Fieldset(msgspec.Struct, frozen=True):
    """A mapping from names to nodes."""

    entries: dict[str, Entry]
    at: Place


Node = Scalar | Listing | Fieldset


def plain(node: Node) -> Plain:
    """Return the bare value, as JSON would have it."""
    match node:
        case Scalar():
            return node.value
        case Listing():
            return [plain(item) for item in node.items]
        case Fieldset():
            return {name: plain(entry.node) for name, entry in node.entries.items()}


def read(text: str, findings: Findings, file: str = "") -> Fieldset | None:
    """Read the document's one mapping; None when there is a finding that forbids going on."""
    start = Place(file=file)
    # The number of characters first: it costs nothing, whatever was sent.
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        findings.error(Code.TOO_LARGE, "the document is larger than 1 MiB", start)
        return None
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        text = _json_as_yaml(text)
    _refuse_hidden(text.removeprefix("\ufeff"), findings, start)
    try:
        node = _Builder(text, findings, file).build()
    except _RefusedError as error:
        findings.error(error.code, error.message, error.at)
        return None
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        message, at = _complaint(error, text)
        findings.error(Code.SYNTAX, message, replace(at, file=file))
        return None
    if isinstance(node, Fieldset):
        return node
    findings.error(Code.SYNTAX, "a policy document is a mapping", start)
    return None


def _refuse_hidden(text: str, findings: Findings, start: Place) -> None:
    # In comments too: what a reviewer reads there must be what stands there.
    for match in _HIDDEN.finditer(text):
        if findings.is_full:
            return
        if match[0] < " " or match[0] == "\x7f":
            # The parser says so itself.
            continue
        place = _place_of(match.start(), text)
        findings.refuse_if_new(Code.HIDDEN, _hidden(match[0]), replace(place, file=start.file))


def _hidden(character: str) -> str:
    return f"there is a character that nobody sees, U+{ord(character):04X}"


def _complaint(error: yaml.YAMLError | UnicodeEncodeError, text: str) -> tuple[str, Place]:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place()
        problem = error.problem or "this is neither YAML nor JSON"
        # As in {when: inCidr(context.ip, "10.0.0.0/8")}, which nearly everybody writes once.
        hint = _QUOTE if "',' or '" in problem else ""
        return f"{problem}{hint}", place
    if isinstance(error, UnicodeEncodeError):
        return "there is half a character", _place_of(error.start, text)
    position = getattr(error, "position", 0)
    return "there is a character that no text has", _place_of(position, text)


def _place_of(index: int, text: str) -> Place:
    return Place(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))


class _RefusedError(Exception):
    def __init__(self, code: Code, message: str, at: Place) -> None:
        super().__init__(message)
        self.code, self.message, self.at = code, message, at


class _Builder:
    """Turns the parser's events into nodes."""

    def __init__(self, text: str, findings: Findings, file: str) -> None:
        self._findings = findings
        self._file = file
        self._lines = text.split("\n")
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        self._depth = 0

    def build(self) -> Node | None:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    where = self._place(event, "")
                    raise _RefusedError(Code.FORBIDDEN_YAML, "one file holds one document", where)
                node = self._node(next(self._events), "")
        return node

    def _node(self, event: yaml.Event, path: str) -> Node:
        at = self._place(event, path)
        _refuse_references(event, at)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _RefusedError(Code.TOO_LARGE, f"nested deeper than {MAX_DEPTH} levels", at)
        node = self._mapping(at) if isinstance(event, yaml.MappingStartEvent) else self._listing(at)
        self._depth -= 1
        return node

    def _listing(self, at: Place) -> Listing:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, at / len(items)))
        return Listing(items, at)

    def _mapping(self, at: Place) -> Fieldset:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_at = self._place(event, at.path)
            _refuse_references(event, key_at)
            if not isinstance(event, yaml.ScalarEvent):
                raise _RefusedError(Code.FORBIDDEN_YAML, "a name must be text", key_at)
            self._check_escapes(event, key_at)
            key_at = self._place(event, at / event.value)
            node = self._node(next(self._events), key_at.path)
            if event.value in entries:
                first = entries[event.value].at.line
                message = f"`{event.value}` was said before, in line {first}"
                self._findings.error(Code.DUPLICATE_KEY, message, key_at)
                continue
            entries[event.value] = Entry(key_at, node)
        return Fieldset(entries, at)

    def _scalar(self, event: yaml.ScalarEvent, at: Place) -> Scalar:
        if event.style:
            self._check_escapes(event, at)
            return Scalar(event.value, at, self._first(event, at))
        value = plain_scalar(event.value)
        if is_surprising(event.value) and not _MODE.search(at.path):
            message = (
                f"`{event.value}` is read as text; quote it, or write true, false or a plain number"
            )
            self._findings.warn(Code.AMBIGUOUS_SCALAR, message, at)
        if isinstance(value, float) and (_INTEGER.match(event.value) or not isfinite(value)):
            message = "this number is too large to be exact; write it as a text"
            self._findings.refuse_if_new(Code.WRONG_VALUE, message, at)
        return Scalar(value, at, self._first(event, at))

    def _check_escapes(self, event: yaml.ScalarEvent, at: Place) -> None:
        # Written out they were found in the text.
        if event.style == '"' and (match := _HIDDEN.search(event.value)):
            self._findings.refuse_if_new(Code.HIDDEN, _hidden(match[0]), at)

    def _first(self, event: yaml.ScalarEvent, at: Place) -> Place | None:
        if event.style == "|":
            for line in self._lines[at.line :]:
                if line.strip():
                    column = len(line) - len(line.lstrip(" ")) + 1
                    return Place(at.line + 1, column, file=at.file)
            return None
        start, end = event.start_mark, event.end_mark
        if event.style == ">" or start is None or end is None or start.line != end.line:
            return None
        return Place(at.line, at.column + (1 if event.style else 0), file=at.file)

    def _place(self, event: yaml.Event, path: str) -> Place:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Place(line, column, path, self._file)


def _refuse_references(event: yaml.Event, at: Place) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        message = "anchors and aliases are not read: say it where it is meant"
        raise _RefusedError(Code.FORBIDDEN_YAML, message, at)
    if getattr(event, "tag", None) not in {None, "!"}:
        raise _RefusedError(Code.FORBIDDEN_YAML, "tags (`!...`) are not read", at)


def plain_scalar(text: str) -> str | int | float | bool | None:
    """Return what a word without quotes says."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text) and len(text) <= 19:
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def is_surprising(text: str) -> bool:
    """Say whether YAML 1.1 takes a word without quotes for something that is no text."""
    return isinstance(plain_scalar(text), str) and _YAML_1_1.match(text) is not None


def _json_as_yaml(text: str) -> str:
    """Rewrite the two things that JSON allows and YAML does not: tabs, surrogate pairs."""

    def character(match: re.Match[str]) -> str:
        high, low = int(match[1], 16), int(match[2], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))

    return _SURROGATES.sub(character, text.replace("\t", " "))
