"""What the verbs of `stepup policy` have in common: what they check first, and how they answer."""

import json
from typing import Any, NoReturn

import rich_click as click

from stepup.cli.findings import FINDINGS, explain_findings, findings_document
from stepup.domain.errors import PolicyInvalidError
from stepup.policy_language import document

json_option = click.option("--json", "as_json", is_flag=True, help="As one JSON object.")


def say(text: str, as_document: dict[str, Any], *, as_json: bool) -> None:
    """Answer, for people or as JSON."""
    click.echo(json.dumps(as_document) if as_json else text)


def check(name: str, text: str, *, as_json: bool) -> None:
    """End the command with 3 when the document has errors."""
    try:
        document.parse(text, version=0)
    except PolicyInvalidError as error:
        refuse(name, error, as_json=as_json)


def refuse(name: str, error: PolicyInvalidError, *, as_json: bool) -> NoReturn:
    """Say what is wrong with a document, and end the command with 3."""
    found = {"file": name, "valid": False, "findings": findings_document(error)}
    say(f"{name}: {explain_findings(error)}", found, as_json=as_json)
    raise SystemExit(FINDINGS)
