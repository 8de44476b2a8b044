"""Ask before something that holds is replaced; without a terminal nobody is there to ask."""

import sys

import rich_click as click


def confirm(shown: str, question: str, *, as_json: bool) -> None:
    """Show what would change and ask; end the command unless somebody says yes."""
    if as_json or not is_terminal():
        raise click.ClickException("the active version would be replaced: --yes does it")
    click.echo(shown, err=True)
    click.confirm(question, abort=True, err=True)


def is_terminal() -> bool:
    """Say whether somebody sits there."""
    return sys.stdin.isatty()
