"""A document in the one form that documents have; comments and meaning stay."""

import json

from stepup.policy_language.findings import Finding, Findings
from stepup.policy_language.layout import lay_out
from stepup.policy_language.reader import plain, read
from stepup.policy_language.syntax import Collection, parse_syntax


class CannotFormatError(Exception):
    """The new form would say something else; the document stays as it is."""


def format_document(text: str, name: str = "") -> str | list[Finding]:
    """Write a document anew; findings when it cannot be read at all.

    Raises:
        CannotFormatError: If the new form would not say the same.
    """
    findings = Findings()
    before = read(text, findings, name)
    if before is None or findings.has_errors:
        return findings.all()
    formatted = _as_json(text) or _as_yaml(text)
    after = read(formatted, Findings())
    if after is None or plain(after) != plain(before):
        raise CannotFormatError("it would say something else")
    return formatted


def _as_json(text: str) -> str | None:
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return None
    try:
        value = json.loads(text.lstrip("\ufeff"))
    except ValueError:
        # Braces of YAML.
        return None
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _as_yaml(text: str) -> str:
    root = parse_syntax(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    if root is None:
        raise CannotFormatError("it is no mapping")
    comments = sorted(comments_of(root))
    root.is_flow = False
    formatted = lay_out(root)
    again = parse_syntax(formatted)
    if again is None or sorted(comments_of(again)) != comments:
        raise CannotFormatError("a comment would be lost")
    return formatted


def comments_of(node: Collection) -> list[str]:
    """List every comment of a collection."""
    found = list(node.below)
    for item in node.items:
        found += [text for text in item.above if text] + [item.beside] * bool(item.beside)
        if isinstance(item.node, Collection):
            found += comments_of(item.node)
    return found
