"""Small documents for tests: one valid, one thing changed."""

from textwrap import dedent, indent

from stepup.domain.policy import Policy
from stepup.policy_language import document
from stepup.policy_language.findings import Finding

HEAD = "apiVersion: stepup/v1\n"


def a_document(action: str = "default: allow", **others: str) -> str:
    """A document with one action, `pay`, and other top-level fields."""
    text = HEAD + "actions:\n  pay:\n" + indent(dedent(action).strip("\n"), "    ") + "\n"
    for name, content in others.items():
        text += f"{name}:\n" + indent(dedent(content).strip("\n"), "  ") + "\n"
    return text


def a_document_when(condition: str, attributes: str = "{}") -> str:
    """A document whose one rule has a condition; anything else is allowed."""
    action = f"""
        attributes: {attributes}
        rules:
          - id: one
            when: {condition}
            require: {{level: phr}}
        default: allow
    """
    return a_document(action)


def parsed(text: str) -> Policy:
    """Parse a document that must be free of findings."""
    assert findings(text) == []
    return document.parse(text, version=1)


def findings(text: str) -> list[str]:
    """Write the findings without their places."""
    return [f"{f.code.value} {f.message}" for f in document.check(text)]


def errors(text: str) -> list[Finding]:
    return [finding for finding in document.check(text) if finding.is_error]


def codes(text: str) -> list[str]:
    return [finding.code.value for finding in document.check(text)]
