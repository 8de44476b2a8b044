"""`stepup policy lint`: say what is wrong with a document."""

from pathlib import Path

import rich_click as click

from stepup.cli.files import EXISTING_FILE, read_text
from stepup.cli.policy.output import check, json_option, say


@click.command()
@click.argument("file", type=EXISTING_FILE)
@json_option
def lint(file: Path, as_json: bool) -> None:
    """Check a document: schema, types, conditions and its own examples."""
    check(str(file), read_text(file), as_json=as_json)
    result = {"file": str(file), "valid": True, "findings": []}
    say(f"{file}: no findings", result, as_json=as_json)
