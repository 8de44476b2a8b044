"""`stepup policy lint`: say what is wrong with a document."""

from pathlib import Path

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.policy.output import say_findings
from stepup.cli.policy.source import read_source, source_argument
from stepup.policy_language import document


@click.command()
@source_argument
@click.option("--strict", is_flag=True, help="Warnings count as well.")
@json_option
def lint(source: Path, strict: bool, as_json: bool) -> None:
    """Check a document: fields, types, conditions and its own tests.

    Reads a file, a folder of *.yaml, *.yml and *.json, or standard input. Exits with 3 when there
    are errors.
    """
    given = read_source(source)
    reading = document.read_files(given.files)
    found = reading.findings.all()
    say_findings(given.name, found, as_json=as_json)
    if reading.policy is None or (strict and found):
        raise SystemExit(FINDINGS)
