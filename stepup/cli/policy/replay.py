"""`stepup policy replay`: say what a document would have made of recorded decisions."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from stepup import wiring
from stepup.cli.as_json import json_option
from stepup.cli.operating import operate
from stepup.cli.policy.output import CHANGES_PENDING, check, say
from stepup.cli.policy.replay_text import explain_replay
from stepup.cli.policy.source import read_source, source_argument
from stepup.cli.settings import load_settings, settings_options
from stepup.cli.times import MomentAgo
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import PolicyNotFoundError
from stepup.domain.ids import ActionName
from stepup.domain.replay_report import ReplayReport
from stepup.ports import Ports
from stepup.usecases import replay as replays
from stepup.usecases.replay import MOST_RECORDS, ReplayQuestion

# One core for each, and the reading between them.
_AT_ONCE = 2
_SINCE = timedelta(days=7)


@click.command()
@source_argument
@settings_options
@click.option("--since", type=MomentAgo(), help="From when on: `7d`, the default, or a time.")
@click.option("--until", type=MomentAgo(), help="Until when: `1h` ago, or a time; now if left out.")
@click.option("--action", "actions", multiple=True, help="Only this action; can be repeated.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_RECORDS),
    default=MOST_RECORDS,
    show_default=True,
    help="How many records at most, the newest of them.",
)
@click.option("--enforced", is_flag=True, help="As if everything in it were enforced.")
@json_option
def replay(
    source: Path, config_file: Path | None, sets: Sequence[str], as_json: bool, **which: Any
) -> None:
    """Say what a document would have made of recorded decisions, beside the active version.

    Nothing is changed. Exits with 0 when no decision would be another one, with 2 when some would,
    and with 3 when the document has findings that forbid its use.
    """
    given = read_source(source)
    check(given, as_json=as_json)
    asked = _question(given.text, **which)
    report = asyncio.run(operate(load_settings(config_file, sets), _task(asked)))
    found = {"file": given.name, "valid": True, **msgspec.to_builtins(report)}
    say(explain_replay(given.name, report), found, as_json=as_json)
    if report.changed:
        raise SystemExit(CHANGES_PENDING)


def _question(
    text: str, since: datetime | None, actions: Sequence[str], **others: Any
) -> ReplayQuestion:
    return ReplayQuestion(
        document=text,
        since=since or datetime.now(UTC) - _SINCE,
        actions=frozenset(map(ActionName, actions)) or None,
        **others,
    )


def _task(asked: ReplayQuestion) -> Callable[[Ports, Sealer], Awaitable[ReplayReport]]:
    async def task(ports: Ports, _sealer: Sealer) -> ReplayReport:
        async with wiring.open_workshop(places=_AT_ONCE) as workshop:
            try:
                return await replays.replay(
                    ports, workshop, asked, at_once=_AT_ONCE, on_progress=_show
                )
            except PolicyNotFoundError as error:
                raise click.ClickException(error.detail) from error
            finally:
                _show(None)

    return task


def _show(recorded: int | None) -> None:
    """Show how far it is, to somebody who watches."""
    if sys.stderr.isatty():
        told = "" if recorded is None else f"{recorded:,} records"
        click.echo(f"\r{told:<30}\r", nl=False, err=True)
