"""`stepup policy fmt`: write documents in the one form that they have."""

from pathlib import Path

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.policy.output import CHANGES_PENDING, say, say_findings
from stepup.cli.policy.source import read_source, source_argument
from stepup.policy_language.findings import printable
from stepup.policy_language.formatting import CannotFormatError, format_document


@click.command()
@source_argument
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 2 if needed.")
@json_option
def fmt(source: Path, only_check: bool, as_json: bool) -> None:
    """Write a document, or every file of a folder, in the one form; comments stay.

    Standard input is written to standard output.
    """
    given = read_source(source)
    formatted = {name: _formatted(name, text, as_json) for name, text in given.files.items()}
    changed = [name for name, text in formatted.items() if text != given.files[name]]
    if given.name == "-" and not only_check:
        click.echo(formatted["-"], nl=False)
        return
    for name in changed if not only_check else ():
        Path(name).write_text(formatted[name], encoding="utf-8", newline="")
    done = "would be changed" if only_check else "changed"
    lines = [f"{printable(name)}: {done}" for name in changed] or [
        f"{given.name}: nothing to change"
    ]
    say("\n".join(lines), {"changed": changed, "dry_run": only_check}, as_json=as_json)
    if only_check and changed:
        raise SystemExit(CHANGES_PENDING)


def _formatted(name: str, text: str, as_json: bool) -> str:
    try:
        formatted = format_document(text, name)
    except CannotFormatError as error:
        raise click.ClickException(f"{name}: left as it is, because {error}") from error
    if not isinstance(formatted, str):
        say_findings(name, formatted, as_json=as_json)
        raise SystemExit(FINDINGS)
    return formatted
