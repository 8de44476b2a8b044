"""`stepup policy`: check a policy document."""

import json
from pathlib import Path

import rich_click as click

from stepup.cli.findings import FINDINGS, explain_findings
from stepup.domain.errors import PolicyInvalidError
from stepup.policy_language import document


@click.group()
def policy() -> None:
    """Work on policy documents."""


@policy.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def lint(file: Path, as_json: bool) -> None:
    """Check a document: schema, types, conditions and its own examples."""
    error = None
    try:
        document.parse(file.read_text(encoding="utf-8"), version=0)
    except PolicyInvalidError as invalid:
        error = invalid
    if as_json:
        findings = [str(finding) for finding in error.findings] if error else []
        click.echo(json.dumps({"file": str(file), "valid": error is None, "findings": findings}))
    else:
        click.echo(f"{file}: {explain_findings(error) if error else 'no findings'}")
    if error is not None:
        raise SystemExit(FINDINGS)
