"""`stepup redis`: the set of Redis servers behind Sentinels."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import rich_click as click

from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.operator import NotInTimeError
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.survey import Survey, findings, look, spell
from stepup.adapters.redis.switchover import (
    KeptError,
    NotHealthyError,
    Switched,
    UnsettledError,
    fit_to_move,
    switch_over,
)
from stepup.cli.as_json import json_option
from stepup.cli.files import EXISTING_FILE, read_text
from stepup.cli.findings import FINDINGS
from stepup.cli.redis_table import survey_document, survey_table
from stepup.cli.settings import read_settings, settings_options
from stepup.cli.stopping import run_until_stopped
from stepup.config_values import check_redis_url

_url_option = click.option(
    "--redis-url-file",
    type=EXISTING_FILE,
    envvar="STEPUP_REDIS_OPERATOR_URL_FILE",
    show_envvar=True,
    help="Holds the set's URL with an operator's user; by default `redis_url` is used.",
)


@click.group()
def redis() -> None:
    """Look at the Redis servers behind Sentinels, and move the primary."""


@redis.command()
@settings_options
@_url_option
@json_option
def status(
    config_file: Path | None, sets: Sequence[str], redis_url_file: Path | None, as_json: bool
) -> None:
    """Show the set as all Sentinels and servers see it; exit with 3 when it is not healthy."""
    seen = asyncio.run(look(set_url(config_file, sets, redis_url_file)))
    show_survey(seen, as_json=as_json)


@redis.command()
@settings_options
@_url_option
@click.option("--to", "wanted", metavar="HOST:PORT", help="The replica to promote.")
@click.option("--attempts", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--dry-run", is_flag=True, help="Look whether it could be done, and do nothing.")
@json_option
def switchover(config_file: Path | None, sets: Sequence[str], **options: Any) -> None:
    """Move the primary to a replica without losing a write.

    Pauses writes, waits until the replicas hold everything, lets Sentinel act, and keeps the old
    primary from writing until it is a replica. Refused with 3 when the set is not healthy. Ctrl-C
    undoes what was done, or waits for the end where that is too late. Exits with 1 when Sentinel
    kept the old primary each time, which is safe.
    """
    url = set_url(config_file, sets, options.pop("redis_url_file"))
    wanted = options.pop("wanted")
    move(url, to=None if wanted is None else _address(wanted), **options)


def move(
    url: SentinelUrl, *, to: Address | None, attempts: int, dry_run: bool, as_json: bool
) -> None:
    """Switch over and say how it went, or end the command with one line."""
    try:
        if dry_run:
            _say_ready(asyncio.run(fit_to_move(url, to)), to, as_json=as_json)
            return
        moving = switch_over(
            url, to=to, attempts=attempts, report=_silent if as_json else click.echo
        )
        _say_moved(run_until_stopped(moving), as_json=as_json)
    except NotHealthyError as error:
        _say_refused(error, as_json=as_json)
    except asyncio.CancelledError:
        _fail("stopped", "stopped, and undone: the primary is where it was", as_json=as_json)
    except KeptError as error:
        _fail("kept", str(error), as_json=as_json)
    except (UnsettledError, NotInTimeError) as error:
        _fail("unsettled", str(error), as_json=as_json)


def set_url(
    config_file: Path | None, sets: Sequence[str], redis_url_file: Path | None
) -> SentinelUrl:
    """Return the URL of the set, an operator's if one is given, or end the command."""
    if redis_url_file is not None:
        text = read_text(redis_url_file).strip()
    elif os.environ.get("STEPUP_REDIS_OPERATOR_URL"):
        text = os.environ["STEPUP_REDIS_OPERATOR_URL"]
    else:
        given = read_settings(config_file, sets).get("redis_url")
        if given is None:
            raise click.UsageError(
                "give --redis-url-file, STEPUP_REDIS_OPERATOR_URL or STEPUP_REDIS_URL"
            )
        text = given.value.reveal()
    if not SentinelUrl.is_meant_by(text):
        raise click.ClickException("there are no Sentinels in the Redis URL")
    try:
        # First, since it quotes nothing: what looks like a port may be a piece of a password.
        check_redis_url(text)
        return SentinelUrl.parse(text)
    except (ValueError, TypeError) as error:
        raise click.ClickException(f"the Redis URL: {error}") from error


def show_survey(seen: Survey, *, as_json: bool) -> None:
    """Print what was seen; end the command with 3 when it is not healthy."""
    found = findings(seen)
    if as_json:
        click.echo(json.dumps(survey_document(seen, found), indent=2))
    else:
        for line in survey_table(seen, found):
            click.echo(line)
    if found:
        raise SystemExit(FINDINGS)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--to")
    return host.strip("[]"), int(port)


def _silent(_text: str) -> None:
    """Print nothing beside the JSON."""


def _say_ready(seen: Survey, to: Address | None, *, as_json: bool) -> None:
    old, replicas = spell(seen.primary), [spell(each) for each in seen.replicas]
    if as_json:
        found = {"outcome": "ready", "primary": old, "replicas": replicas}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"the set is healthy; {old} would give way to {spell(to) if to else 'a replica'}")


def _say_moved(moved: Switched, *, as_json: bool) -> None:
    if as_json:
        document = {
            "outcome": "moved",
            "old": spell(moved.old),
            "new": spell(moved.new),
            "write_gap_seconds": round(moved.gap, 3),
            "attempts": moved.attempts,
            "remarks": moved.remarks,
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"{spell(moved.new)} is the primary; nothing was written for {moved.gap:.2f} s")
    for remark in moved.remarks:
        click.echo(f"but: {remark}")


def _say_refused(error: NotHealthyError, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"outcome": "refused", "findings": error.reasons}, indent=2))
    else:
        for reason in error.reasons:
            click.echo(reason, err=True)
        click.echo("the set is not fit to be switched over; nothing was done", err=True)
    raise SystemExit(FINDINGS)


def _fail(outcome: str, text: str, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"outcome": outcome, "detail": text}, indent=2))
        raise SystemExit(1)
    raise click.ClickException(text)
