"""What the verbs of `stepup policy` have in common: what they check first, and how they answer."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import rich_click as click

from stepup.cli.findings import FINDINGS
from stepup.cli.policy.source import Source
from stepup.policy_language import document
from stepup.policy_language.document import Reading
from stepup.policy_language.findings import Finding

CHANGES_PENDING = 2
"""The exit code of a command that would change something, and was told not to."""


def say(text: str, as_document: dict[str, Any], *, as_json: bool) -> None:
    """Answer, for people or as JSON."""
    click.echo(json.dumps(as_document) if as_json else text)


def check(source: Source, *, as_json: bool, tests: bool = True) -> Reading:
    """Read a document; end the command with 3 when it has errors.

    Without `tests` its own tests are not run.
    """
    reading = document.read_files(source.files, tests=tests)
    if reading.policy is None:
        say_findings(source.name, reading.findings.all(), as_json=as_json)
        raise SystemExit(FINDINGS)
    return reading


def say_findings(name: str, findings: Sequence[Finding], *, as_json: bool) -> None:
    """Say what is wrong with a document, a line for each finding."""
    errors = sum(finding.is_error for finding in findings)
    found = {
        "file": name,
        "valid": not errors,
        "findings": [msgspec.to_builtins(finding) for finding in findings],
    }
    counts = f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}"
    summary = f"{name}: {counts if findings else 'no findings'}"
    say("\n".join([*map(str, findings), summary]), found, as_json=as_json)


def counted(number: int, what: str) -> str:
    """Write how many there are of something."""
    return f"{number} {what}{'' if number == 1 else 's'}"
