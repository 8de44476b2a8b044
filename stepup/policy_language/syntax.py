"""A document as it was typed: its collections and words with their comments and blank lines.

`reader` says what a document means; this says how it looks, for whoever writes it anew. Between
the words of a document stand only punctuation and comments, so a `#` there begins a comment.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BLOCK_HEADER = re.compile(r"([|>])([-+0-9]*)[ \t]*(#[^\n]*)?")
_COMMENT = re.compile(r"#[^\n]*")
_ONLY_DASHES = re.compile(r"[\s?-]*\Z")


class Word(msgspec.Struct):
    """A scalar: what it says, and how it is written.

    `lines` are those of a block scalar, without their common indentation.
    """

    value: str
    style: str
    raw: str
    lines: tuple[str, ...] = ()


class Item(msgspec.Struct):
    """A member of a collection; `above` holds comments and `""` for blank lines."""

    key: Word | None
    node: "Syntax"
    above: list[str] = []
    beside: str = ""


class Collection(msgspec.Struct):
    """A mapping or a list; `below` holds the comments after its last member."""

    items: list[Item]
    is_mapping: bool
    is_flow: bool
    below: list[str] = []

    def find(self, name: str) -> Item | None:
        """Return a field of a mapping."""
        return next((item for item in self.items if item.key and item.key.value == name), None)


Syntax = Word | Collection


def parse_syntax(text: str) -> Collection | None:
    """Read a document that `reader.read` accepts; None when it is no mapping."""
    builder = _Builder(text)
    root = builder.build()
    if not isinstance(root, Collection):
        return None
    _Comments(text, builder).attach(root)
    return root


class _SeenCollection(msgspec.Struct):
    """A collection with where it was found."""

    node: Collection
    start: int
    column: int
    within: "_SeenCollection | None"
    end: int = 0


class _SeenItem(msgspec.Struct):
    """A member with where it was found; it stands in the column where its collection begins."""

    node: Item
    start: int
    line: int
    within: _SeenCollection

    @property
    def column(self) -> int:
        return self.within.column


class _Builder:
    """Turns the parser's events into syntax, and remembers where everything was."""

    def __init__(self, text: str) -> None:
        self.items: list[_SeenItem] = []
        self.collections: list[_SeenCollection] = []
        self.words: list[tuple[int, int]] = []
        self.headers: list[tuple[int, str]] = []
        self._text = text
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)

    def build(self) -> Syntax | None:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self._node(next(self._events), None)
        return None

    def _node(self, event: yaml.Event, within: _SeenCollection | None) -> Syntax:
        if isinstance(event, yaml.ScalarEvent):
            return self._word(event)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        collection = Collection([], is_mapping, bool(getattr(event, "flow_style", False)))
        mark = _mark(event.start_mark)
        seen = _SeenCollection(collection, mark.index, mark.column, within)
        self.collections.append(seen)
        while not isinstance(
            inner := next(self._events), yaml.MappingEndEvent | yaml.SequenceEndEvent
        ):
            collection.items.append(self._item(inner, seen))
        seen.end = _mark(inner.end_mark).index
        return collection

    def _item(self, event: yaml.Event, within: _SeenCollection) -> Item:
        item = Item(None, Word("", "", ""))
        mark = _mark(event.start_mark)
        self.items.append(_SeenItem(item, mark.index, mark.line, within))
        if within.node.is_mapping and isinstance(event, yaml.ScalarEvent):
            item.key = self._word(event)
            event = next(self._events)
        item.node = self._node(event, within)
        return item

    def _word(self, event: yaml.ScalarEvent) -> Word:
        start, end = _mark(event.start_mark).index, _mark(event.end_mark).index
        raw = self._text[start:end]
        self.words.append((start, end))
        header = _BLOCK_HEADER.match(raw) if event.style in {"|", ">"} else None
        if header is None or event.style is None:
            return Word(event.value, event.style or "", raw.strip())
        if header[3]:
            self.headers.append((start + header.start(3), header[3]))
        written = raw[header.end() :].split("\n")[1:]
        margin = min((len(s) - len(s.lstrip(" ")) for s in written if s.strip()), default=0)
        if digit := re.search(r"\d", header[2]):
            # Said, because the first line is indented more than the text is.
            margin = self._margin(event, int(digit[0]), margin)
        lines = tuple(line[margin:].rstrip("\r") for line in written)
        while lines and not lines[-1].strip():
            lines = lines[:-1]
        return Word(event.value, event.style, header[1] + header[2], lines)

    def _margin(self, event: yaml.ScalarEvent, said: int, least: int) -> int:
        first = event.value.split("\n")[0]
        here = self._text[_mark(event.start_mark).index :].split("\n")[1]
        return min(least, max(said, len(here) - len(first)))


def _mark(mark: Any) -> Any:
    # The parser always says where it is; only the type allows that it does not.
    return mark


class _Comments:
    """Finds comments and blank lines, and gives each to what it speaks about."""

    def __init__(self, text: str, builder: _Builder) -> None:
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._items = builder.items
        self._collections = builder.collections
        self._comments = sorted([*self._between(text, builder.words), *builder.headers])

    def attach(self, root: Collection) -> None:
        above: dict[int, list[tuple[int, str]]] = {}
        for index, text in self._comments:
            line = bisect_right(self._starts, index) - 1
            before = self._lines[line][: index - self._starts[line]]
            if _ONLY_DASHES.match(before) or not self._beside(index, text):
                # Behind a dash it speaks about what follows, which stands where the dash does.
                column = before.find("-") if "-" in before else len(before)
                self._place(index, column, (line, text), above, root)
        for number, seen in enumerate(self._items):
            seen.node.above = self._above(seen.line, above.get(number, []))

    def _between(self, text: str, words: list[tuple[int, int]]) -> Iterator[tuple[int, str]]:
        reached = 0
        for start, end in [*sorted(words), (len(text), len(text))]:
            for match in _COMMENT.finditer(text, reached, max(start, reached)):
                yield match.start(), match[0]
            reached = max(reached, end)

    def _beside(self, index: int, text: str) -> bool:
        """Give a comment to the item before it, unless that has one already."""
        number = self._next_item(index) - 1
        # Behind a closing brace it speaks about the whole, not about the last member.
        while number > 0 and self._has_closed(self._items[number].within, index):
            number -= 1
        if number < 0 or self._items[number].node.beside:
            return False
        self._items[number].node.beside = text.rstrip()
        return True

    def _has_closed(self, seen: _SeenCollection, index: int) -> bool:
        return seen.node.is_flow and seen.end <= index

    def _place(
        self,
        index: int,
        column: int,
        comment: tuple[int, str],
        above: dict[int, list[tuple[int, str]]],
        root: Collection,
    ) -> None:
        line, text = comment
        number = self._next_item(index)
        following = self._items[number] if number < len(self._items) else None
        flow = self._flow_around(index)
        if flow is not None:
            inside = following is not None and following.start < flow.end
            ended = None if inside else flow
        else:
            ended = self._ended(number - 1, column, following.column if following else -1)
        if ended is not None:
            ended.node.below.append(text.rstrip())
        elif following is not None:
            above.setdefault(number, []).append((line, text.rstrip()))
        else:
            root.below.append(text.rstrip())

    def _next_item(self, index: int) -> int:
        return bisect_right(self._items, index, key=lambda seen: seen.start)

    def _flow_around(self, index: int) -> _SeenCollection | None:
        """Return the innermost collection around a comment, if it is one in braces."""
        number = bisect_right(self._collections, index, key=lambda each: each.start)
        seen = self._collections[number - 1] if number else None
        while seen is not None and seen.end <= index:
            seen = seen.within
        return seen if seen is not None and seen.node.is_flow else None

    def _ended(self, number: int, column: int, following: int) -> _SeenCollection | None:
        """Return the innermost collection that a comment at this column is the end of."""
        seen = self._items[number].within if number >= 0 else None
        while seen is not None:
            if following < seen.column <= column:
                return seen
            seen = seen.within
        return None

    def _above(self, line: int, comments: list[tuple[int, str]]) -> list[str]:
        found: list[str] = []
        for at, text in comments:
            if self._is_blank(at - 1):
                found.append("")
            found.append(text)
        if self._is_blank(line - 1):
            found.append("")
        return found

    def _is_blank(self, line: int) -> bool:
        return line >= 0 and not self._lines[line].strip()
