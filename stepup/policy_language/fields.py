"""The fields of one mapping, taken one by one; which there are is said in `shape`."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from stepup.policy_language.findings import Code, Findings, Place, did_you_mean
from stepup.policy_language.reader import Fieldset, Listing, Node, Scalar
from stepup.policy_language.shape.parts import MAX_IDENTIFIER, Shape, names_of
from stepup.policy_language.spans import parse_span

Choice = TypeVar("Choice", bound=StrEnum)


_ELSEWHERE = {
    "shadow": "`shadow` is no field: PUT /v1/admin/policy/drafts/{id}/shadow makes a draft one",
}


class Fields:
    """Reads a mapping of one shape field by field and reports every field of the wrong kind."""

    def __init__(self, node: Fieldset, shape: type[Shape], findings: Findings) -> None:
        self._node = node
        self._known = names_of(shape)
        self._refused: set[str] = set()
        self.shape = shape
        self.findings = findings
        self.at = node.at

    def __contains__(self, name: str) -> bool:
        return self.peek(name) is not None

    def peek(self, name: str) -> Node | None:
        """Return a field that was written and is not empty."""
        if name not in self._known:
            raise KeyError(f"{self.shape.__name__} has no field {name}")
        entry = self._node.entries.get(name)
        if entry is None:
            return None
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            # An empty `when` would be a rule that always applies: nobody may mean that by accident.
            message = f"`{name}` is empty: say something, or leave it out"
            self.findings.refuse_if_new(Code.WRONG_VALUE, message, entry.at)
            return None
        return entry.node

    def place(self, name: str) -> Place:
        """Return where a field's name stands; the mapping's own place when it is not there."""
        entry = self._node.entries.get(name)
        return entry.at if entry else self.at

    def scalar(self, name: str) -> Scalar | None:
        """Return a text field with its place."""
        node = self.peek(name)
        if node is None or (isinstance(node, Scalar) and isinstance(node.value, str)):
            return node
        self.wrong(name, "must be text")
        return None

    def text(self, name: str) -> str | None:
        """Return a text."""
        node = self.scalar(name)
        return node.value if node and isinstance(node.value, str) else None

    def identifier(self, name: str) -> str | None:
        """Return a text by which people know something: short, and with nothing hidden in it."""
        text = self.text(name)
        if text is not None and not is_identifier(text):
            self.wrong(name, f"must have 1 to {MAX_IDENTIFIER} visible characters")
            return None
        return text

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        node = self.peek(name)
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong(name, "must be true or false")
        return None

    def number(self, name: str, lowest: int, highest: int) -> int | None:
        """Return a whole number between two limits."""
        node = self.peek(name)
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        self.wrong(name, f"must be a whole number from {lowest} to {highest}")
        return None

    def span(self, name: str) -> timedelta | None:
        """Return a span of time: `15m`, `1h30m`, or a number of seconds."""
        node = self.peek(name)
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9:
            return timedelta(seconds=value)
        span = parse_span(value) if isinstance(value, str) else None
        if span is None:
            self.wrong(name, "must be a span of time, like 0s, 90s, 15m or 1h30m")
        return span

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """Return one of some words."""
        node = self.scalar(name)
        if node is None:
            return None
        return self._chosen(str(node.value), choices, node.at)

    def choices(self, name: str, choices: type[Choice]) -> tuple[Choice, ...] | None:
        """Return several of some words; a single one need not stand in a list."""
        if name not in self:
            return None
        chosen = (self._chosen(str(s.value), choices, s.at) for s in self.scalars(name))
        return tuple(choice for choice in chosen if choice is not None)

    def scalars(self, name: str) -> tuple[Scalar, ...]:
        """Return a list of texts with their places; a single one need not stand in a list."""
        node = self.peek(name)
        if node is None:
            return ()
        nodes = node.items if isinstance(node, Listing) else [node]
        texts = tuple(n for n in nodes if isinstance(n, Scalar) and isinstance(n.value, str))
        if len(texts) != len(nodes):
            self.wrong(name, "must be a list of texts")
        return texts

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(str(scalar.value) for scalar in self.scalars(name))

    def mapping(self, name: str, shape: type[Shape]) -> "Fields | None":
        """Return a mapping, to be read field by field."""
        node = self.fieldset(name)
        return None if node is None else Fields(node, shape, self.findings)

    def fieldset(self, name: str) -> Fieldset | None:
        """Return a mapping whose names are nobody's but the document's."""
        node = self.peek(name)
        if node is None or isinstance(node, Fieldset):
            return node
        self.wrong(name, "must be a mapping")
        return None

    def listing(self, name: str, shape: type[Shape], *, most: int) -> tuple["Fields", ...]:
        """Return a list of at most so many mappings."""
        node = self.peek(name)
        if node is None or self._is_crowded(name, node, most):
            return ()
        items = node.items if isinstance(node, Listing) else []
        mappings = tuple(
            Fields(item, shape, self.findings) for item in items if isinstance(item, Fieldset)
        )
        if not isinstance(node, Listing) or len(mappings) != len(items):
            self.wrong(name, "must be a list of mappings")
        return mappings

    def named(
        self, name: str, key: str, shape: type[Shape], *, most: int
    ) -> Iterator[tuple[str, Place, "Fields"]]:
        """Yield named mappings, written as `name: {...}` or as a list of `{key: name, ...}`."""
        node = self.peek(name)
        if node is None or self._is_crowded(name, node, most):
            return
        if isinstance(node, Listing):
            for fields in self.listing(name, shape, most=most):
                own = fields.text(key)
                if own is None:
                    fields.missing(key)
                else:
                    yield own, fields.place(key), fields
        elif isinstance(node, Fieldset):
            yield from self._entries(node, key, shape)
        else:
            self.wrong(name, "must be a mapping from names, or a list")

    def wrong(self, name: str, message: str, code: Code = Code.WRONG_VALUE) -> None:
        """Report a field's value."""
        entry = self._node.entries.get(name)
        at = entry.node.at if entry else self.at
        self.findings.error(code, f"`{name}` {message}", at)

    def missing(self, name: str) -> None:
        """Report a field that is not there."""
        # An empty one was reported as that.
        if name not in self._node.entries:
            self.findings.error(Code.MISSING_FIELD, f"`{name}` is missing", self.at)

    def refuse_unsupported(self, *names: str) -> None:
        """Report fields that mean something, but not yet, or not here; nothing is ignored."""
        for name in names:
            self._refused.add(name)
            if name in self._node.entries:
                message = _ELSEWHERE.get(name, f"`{name}` is not supported yet")
                self.findings.error(Code.NOT_SUPPORTED_YET, message, self.place(name))

    def finish(self) -> None:
        """Report every field that the shape does not have."""
        for name, entry in self._node.entries.items():
            if name not in self._known | self._refused and not self.findings.is_full:
                message = f"unknown field `{name}`{did_you_mean(name, self._known)}"
                self.findings.error(Code.UNKNOWN_FIELD, message, entry.at)

    def _is_crowded(self, name: str, node: Node, most: int) -> bool:
        match node:
            case Listing():
                count = len(node.items)
            case Fieldset():
                count = len(node.entries)
            case _:
                count = 1
        if count > most:
            self.wrong(name, f"has more than {most} entries", Code.TOO_LARGE)
        return count > most

    def _entries(
        self, node: Fieldset, key: str, shape: type[Shape]
    ) -> Iterator[tuple[str, Place, "Fields"]]:
        for own, entry in node.entries.items():
            if not isinstance(entry.node, Fieldset):
                message = f"`{own}` must be a mapping"
                self.findings.error(Code.WRONG_VALUE, message, entry.node.at)
                continue
            fields = Fields(entry.node, shape, self.findings)
            if key in fields and fields.text(key) != own:
                fields.wrong(key, f"is not `{own}`")
            yield own, entry.at, fields

    def _chosen(self, word: str, choices: type[Choice], at: Place) -> Choice | None:
        try:
            return choices(word)
        except ValueError:
            hint = did_you_mean(word, _words(choices))
            self.findings.error(Code.WRONG_VALUE, f"unknown word `{word}`{hint}", at)
            return None


def is_identifier(text: str) -> bool:
    """Say whether a text can be a name that people compare by eye."""
    return 0 < len(text) <= MAX_IDENTIFIER and text.isprintable()


def _words(choices: Iterable[StrEnum]) -> list[str]:
    return [choice.value for choice in choices]
