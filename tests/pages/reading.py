"""What a page says to somebody who reads it, and what its markup is made of."""

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser

from typing_extensions import override

from stepup.pages.rendering import render
from tests.pages.page_samples import PAGES

_READ_ATTRIBUTES = frozenset({"alt", "aria-label", "placeholder", "title", "value", "content"})
_UNREAD = frozenset({"script", "style"})
_VOID = frozenset({"br", "img", "input", "link", "meta"})


@dataclass
class Element:
    """One start tag."""

    tag: str
    attributes: dict[str, str | None]


@dataclass
class Reading:
    """A page taken apart: its elements, and every text that is read or read out."""

    elements: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything that is read, in one line."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of one kind."""
        return [element.attributes for element in self.elements if element.tag == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.reading = Reading()
        self.open: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"an attribute is written twice: {attrs}"
        self.reading.elements.append(Element(tag, attributes))
        hidden = attributes.get("type") == "hidden" or tag == "meta"
        if not hidden:
            self.reading.texts += [v for k, v in attrs if v and k in _READ_ATTRIBUTES]
        if tag not in _VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.reading.elements.append(Element(tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    @override
    def handle_data(self, data: str) -> None:
        if not (self.open and self.open[-1] in _UNREAD):
            self.reading.texts.append(data)


def read(html: str) -> Reading:
    """Take a page apart; tags that do not match are an error."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [], f"never closed: {reader.open}"
    return reader.reading


@cache
def shown(name: str, locale: str) -> Reading:
    """Take a sample page apart, once for all tests."""
    return read(render(PAGES[name], locale))
