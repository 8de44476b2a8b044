"""`stepup admin`: let subjects administer, or not any more."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict, TypeVar

import rich_click as click

from stepup.cli.admin.keys import key
from stepup.cli.admin.operator import operator, run
from stepup.cli.as_json import json_array_option, json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.domain.administrator import Appointment, Scope
from stepup.domain.ids import Subject
from stepup.ports import Ports
from stepup.usecases import administrators

_Command = TypeVar("_Command", bound=Callable[..., object])

_EVERYTHING = "all"


class _Row(TypedDict):
    issuer: str
    sub: str
    scopes: list[str]
    by: str
    at: str


def _subject_options(command: _Command) -> _Command:
    sub = click.option("--sub", required=True, help="The subject, as its issuer calls it.")
    issuer = click.option("--issuer", help="The subject's issuer; the first upstream otherwise.")
    return sub(issuer(command))


@click.group()
def admin() -> None:
    """Say who administers: subjects with a step-up, pipelines with keys.

    It works on the database and asks no administrator: it is the way in for the first one, and the
    way back when nobody has a passkey any more.
    """


@admin.command()
@_subject_options
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([_EVERYTHING, *(scope.value for scope in Scope)]),
    help="What the subject may do; may be given several times.",
)
@settings_options
@json_option
def add(
    config_file: Path | None,
    sets: Sequence[str],
    sub: str,
    issuer: str | None,
    scopes: Sequence[str],
    as_json: bool,
) -> None:
    """Let a subject administer, or change what it may: exactly these scopes from now on."""
    settings = load_settings(config_file, sets)
    subject = Subject(issuer or settings.subject_issuer, sub)
    wanted = list(Scope) if _EVERYTHING in scopes else [Scope(scope) for scope in scopes]

    async def task(ports: Ports, _sealer: Sealer) -> Appointment:
        return await administrators.appoint(ports, subject, wanted, operator())

    row = _row(run(settings, task))
    click.echo(json.dumps(row) if as_json else f"{sub} administers: {' '.join(row['scopes'])}")


@admin.command(name="list")
@settings_options
@json_array_option
def list_administrators(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """List who administers, and what each may."""

    async def task(ports: Ports, _sealer: Sealer) -> Sequence[Appointment]:
        return await administrators.list_appointments(ports)

    rows = [_row(each) for each in run(load_settings(config_file, sets), task)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['sub']}  {row['issuer']}  {' '.join(row['scopes'])}  by {row['by']}")
    if not rows:
        click.echo("nobody administers yet: stepup admin add")


@admin.command()
@_subject_options
@settings_options
@json_option
def remove(
    config_file: Path | None, sets: Sequence[str], sub: str, issuer: str | None, as_json: bool
) -> None:
    """Let a subject administer no more, from its next request on.

    Exits with 3 if it did not.
    """
    settings = load_settings(config_file, sets)
    subject = Subject(issuer or settings.subject_issuer, sub)

    async def task(ports: Ports, _sealer: Sealer) -> bool:
        return await administrators.dismiss(ports, subject, operator())

    removed = run(settings, task)
    said = f"{sub} administers no more" if removed else f"{sub} does not administer"
    click.echo(json.dumps({"removed": removed}) if as_json else said)
    if not removed:
        raise SystemExit(FINDINGS)


admin.add_command(key)


def _row(appointment: Appointment) -> _Row:
    return {
        "issuer": appointment.subject.issuer,
        "sub": appointment.subject.sub,
        "scopes": [str(scope) for scope in sorted(appointment.scopes)],
        "by": appointment.by,
        "at": appointment.at.isoformat(timespec="seconds"),
    }
