"""Syntax to text, in the one way that documents are written.

Two blanks of indentation, lists indented below their names, at most one blank line, comments two
blanks behind. What was written in braces stays there as long as it fits on a line.
"""

import json
import re
from collections.abc import Iterator

from stepup.policy_language.reader import is_surprising, plain_scalar
from stepup.policy_language.syntax import Collection, Item, Syntax, Word

WIDTH = 100
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")


def lay_out(root: Collection) -> str:
    """Write a document."""
    lines = list(_block(root, 0))
    while lines and not lines[0]:
        lines.pop(0)
    return "\n".join(_without_double_blanks(lines)) + "\n"


def _without_double_blanks(lines: list[str]) -> Iterator[str]:
    before = ""
    for line in lines:
        if line or before:
            yield line
        before = line


def _block(collection: Collection, indent: int) -> Iterator[str]:
    margin = " " * indent
    for number, item in enumerate(collection.items):
        if isinstance(item.node, Collection) and not item.node.items:
            # Between two braces there is no line of its own.
            item.above, item.node.below = [*item.above, *item.node.below], []
        above = item.above if number or indent == 0 else _from_first_comment(item.above)
        lines = list(_item(item, indent))
        yield from (margin + text if text else "" for text in above)
        yield from lines
    yield from (margin + text for text in collection.below)


def _from_first_comment(above: list[str]) -> list[str]:
    first = next((n for n, text in enumerate(above) if text), len(above))
    return above[first:]


def _item(item: Item, indent: int) -> Iterator[str]:
    margin, beside = " " * indent, f"  {item.beside}" if item.beside else ""
    lead = margin + (f"{_name(item.key)}:" if item.key else "-")
    node = item.node
    if isinstance(node, Word):
        first, *rest = _scalar(node, indent, len(lead) + 1)
        yield (f"{lead} {first}" if first else lead) + beside
        yield from rest
    elif (short := _on_one_line(node, len(lead) + 1)) is not None:
        yield f"{lead} {short}{beside}"
    elif item.key:
        yield lead + beside
        yield from _block(node, indent + 2)
    else:
        yield from _after_dash(node, indent, beside)


def _after_dash(node: Collection, indent: int, beside: str) -> Iterator[str]:
    """Write a collection in a list: its first line stands behind the dash."""
    first = node.items[0]
    margin = " " * indent
    yield from (margin + text for text in first.above if text)
    if beside:
        yield margin + beside.strip()
    first.above = []
    lines = _block(node, indent + 2)
    begun = False
    for line in lines:
        # What stands above the first member of a nested list has to be above the dash as well.
        if not begun and not line.lstrip().startswith("#"):
            yield f"{margin}- {line[indent + 2 :]}"
            begun = True
        else:
            yield line if begun else margin + line.lstrip()


def _on_one_line(node: Collection, column: int) -> str | None:
    """Write what was in braces, if it still fits and nobody commented on its parts."""
    if not node.items:
        return "{}" if node.is_mapping else "[]"
    text = _flow(node) if node.is_flow else None
    return text if text is not None and column + len(text) <= WIDTH else None


def _flow(node: Syntax) -> str | None:
    if isinstance(node, Word):
        return None if "\n" in node.raw or node.style in {"|", ">"} else _word(node) or "null"
    parts: list[str] = []
    for item in node.items:
        inner = _flow(item.node)
        if inner is None or item.beside or any(item.above) or node.below:
            return None
        parts.append(f"{_name(item.key)}: {inner}" if item.key else inner)
    if node.below:
        return None
    text = ", ".join(parts)
    return f"{{{text}}}" if node.is_mapping else f"[{text}]"


def _name(word: Word) -> str:
    """Write the name of a field: without quotes where nobody needs them."""
    value = word.value
    if word.style and _PLAIN_NAME.match(value) and plain_scalar(value) == value:
        return quoted(value) if is_surprising(value) else value
    return _word(word)


def _word(word: Word) -> str:
    """Write a word on one line."""
    if word.style == "" and "\n" not in word.raw:
        return quoted(word.value) if is_surprising(word.value) else word.raw
    if word.style == "'" and not set(word.value) & set("\"\\\n'"):
        return quoted(word.value)
    if word.style in {"'", '"'} and "\n" not in word.raw:
        return word.raw
    return quoted(word.value)


def quoted(value: str) -> str:
    """Write a text in double quotes."""
    return json.dumps(value, ensure_ascii=False)


def _scalar(word: Word, indent: int, column: int) -> list[str]:
    if word.style in {"|", ">"}:
        return _block_scalar(word, indent)
    if "\n" not in word.raw:
        return [_word(word)]
    if word.style == "" and "\n" not in word.value and plain_scalar(word.value) == word.value:
        if column + len(word.value) <= WIDTH:
            return [word.value]
        return [">-", *(" " * (indent + 2) + line for line in _wrapped(word.value, indent + 2))]
    return [quoted(word.value)]


def _block_scalar(word: Word, indent: int) -> list[str]:
    kept = word.value.endswith("\n\n") or "+" in word.raw
    if kept or not word.lines or any("\t" in line[:1] for line in word.lines):
        return [quoted(word.value)]
    # A first line that is indented needs the indentation said.
    said = "2" if word.lines[0].startswith(" ") or not word.lines[0] else ""
    header = word.raw[0] + said + ("-" if "-" in word.raw else "")
    margin = " " * (indent + 2)
    return [header, *(margin + line if line.strip() else "" for line in word.lines)]


def _wrapped(text: str, indent: int) -> Iterator[str]:
    line = ""
    for part in text.split(" "):
        if line and indent + len(line) + 1 + len(part) > WIDTH:
            yield line
            line = part
        else:
            line = f"{line} {part}" if line else part
    yield line
