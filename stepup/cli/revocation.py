"""`stepup revocation`: end tokens, refresh tokens and sessions before their time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from stepup.cli.admin.operator import operator, run
from stepup.cli.as_json import json_array_option, json_option
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.domain.ids import Subject
from stepup.domain.revocation import Revocation, Revoked
from stepup.ports import Ports
from stepup.usecases import ending
from stepup.usecases.ending import Ending

_LISTED = 200


@click.group()
def revocation() -> None:
    """End tokens, refresh tokens and sessions before their time, everywhere."""


@revocation.command()
@click.argument("what", type=click.Choice([kind.value for kind in Revoked]))
@click.argument("value")
@click.option("--sub", help="Whose authenticator it is.")
@click.option("--issuer", help="The subject's identity provider; the deployment's by default.")
@click.option("--reason", required=True, help="Why; it is kept in the audit log.")
@settings_options
@json_option
def add(  # noqa: PLR0913, PLR0917  an option each
    what: str,
    value: str,
    sub: str | None,
    issuer: str | None,
    reason: str,
    config_file: Path | None,
    sets: Sequence[str],
    as_json: bool,
) -> None:
    """End WHAT is named by VALUE.

    The `jti` of a token, the `txn` of all that one ceremony gave (`grant`), the `sub` of a subject,
    the identifier of a client, of an authenticator (with `--sub`) or of a signing key. What is
    proved afterwards counts. Introspection knows at once, status lists within seconds. A key goes
    on signing: one that leaked is for `stepup keys revoke`.
    """
    kind = Revoked(what)

    async def task(ports: Ports, _sealer: Sealer) -> Revocation:
        named = value if kind is Revoked.SUBJECT else sub
        subject = None if named is None else Subject(issuer or ports.site.subject_issuer, named)
        ended = Ending(
            what=kind,
            value="" if kind is Revoked.SUBJECT else value,
            subject=subject,
            reason=reason,
        )
        return await ending.end_by(ports, ended, operator())

    made = run(load_settings(config_file, sets), task)
    click.echo(json.dumps(_row(made)) if as_json else f"{what} {value} is revoked")


@revocation.command(name="list")
@settings_options
@json_array_option
def list_revocations(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """List the last 200 revocations that still concern something, the newest first.

    Subjects stand there as in the audit log, by a digest.
    """

    async def task(ports: Ports, _sealer: Sealer) -> Sequence[Revocation]:
        return await ending.list_revocations(ports, _LISTED)

    rows = [_row(each) for each in run(load_settings(config_file, sets), task)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['at']}  {row['what']}  {row['value']}  until {row['until']}")


def _row(each: Revocation) -> dict[str, Any]:
    return {
        "what": each.what.value,
        "value": each.value,
        "before": each.before.isoformat(timespec="seconds"),
        "at": each.at.isoformat(timespec="seconds"),
        "until": each.until.isoformat(timespec="seconds"),
    }
