"""`stepup keys rewrap`: everything sealed anew under the current key-encryption key."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import NamedTuple

import msgspec
import rich_click as click

from stepup import wiring
from stepup.cli.as_json import json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.operating import operate
from stepup.cli.settings import load_settings, settings_options
from stepup.config import Settings
from stepup.crypto.sealing import Sealer
from stepup.ports import Ports
from stepup.ports.seals import SealedUntil
from stepup.usecases.rewrap import Rewrapped, count_seals, count_seals_in_copy
from stepup.usecases.rewrap import rewrap as seal_everything_again


class Lying(msgspec.Struct, frozen=True, kw_only=True):
    """What lies under one key-encryption key."""

    key: int
    seals: bool
    given: bool
    in_database: int
    in_redis: int
    redis_forgets_in: timedelta

    @property
    def may_be_dropped(self) -> bool:
        """Say whether nobody needs the key any more."""
        return self.given and not self.seals and not self.in_database and not self.in_redis

    @property
    def is_lost(self) -> bool:
        """Say whether something lies under a key that is not given."""
        return not self.given and bool(self.in_database)


class _Found(NamedTuple):
    rewrapped: Rewrapped | None
    keys: Sequence[Lying]


@click.command()
@settings_options
@click.option("--check", is_flag=True, help="Only look; exit with 3 while another key is needed.")
@json_option
def rewrap(config_file: Path | None, sets: Sequence[str], check: bool, as_json: bool) -> None:
    """Seal everything again under the current key-encryption key, while the service runs.

    Says afterwards which keys may be dropped: those under which nothing lies any more. It can be
    stopped and repeated. Of what lies in Redis the copy of the configuration is sealed again; the
    rest is forgotten within 24 hours.
    """
    settings = load_settings(config_file, sets)
    found = asyncio.run(_rewrap(settings, only_look=check))
    if as_json:
        click.echo(json.dumps(_as_object(found), indent=2))
    else:
        click.echo("\n".join(_as_text(found)))
    needed = any(not each.seals and not each.may_be_dropped for each in found.keys)
    if any(each.is_lost for each in found.keys) or (check and needed):
        raise SystemExit(FINDINGS)


async def _rewrap(settings: Settings, *, only_look: bool) -> _Found:
    async def work(ports: Ports, sealer: Sealer) -> _Found:
        done = None if only_look else await seal_everything_again(ports, sealer)
        database = await count_seals(ports)
        redis, copy = await wiring.seals_in_redis(settings), await count_seals_in_copy(ports)
        return _Found(done, _lying(sealer, database, redis, copy))

    return await operate(settings, work)


def _lying(
    sealer: Sealer,
    database: Mapping[int, int],
    redis: Mapping[int, SealedUntil],
    copy: Mapping[int, int],
) -> Sequence[Lying]:
    nothing = SealedUntil(0, timedelta(0))
    return [
        Lying(
            key=number,
            seals=number == sealer.current,
            given=number in sealer.numbers,
            in_database=database.get(number, 0),
            in_redis=redis.get(number, nothing).amount + copy.get(number, 0),
            redis_forgets_in=redis.get(number, nothing).forgotten_in,
        )
        for number in sorted({*sealer.numbers, *database, *redis, *copy})
    ]


def _as_text(found: _Found) -> list[str]:
    lines = []
    if found.rewrapped is not None:
        keys, authenticators, copy = found.rewrapped
        lines.append(f"sealed again: {keys} keys, {authenticators} authenticators")
        if not copy:
            lines.append("the copy of the configuration in Redis is renewed by the next instance")
    for each in found.keys:
        says = "seals" if each.seals else "may be dropped" if each.may_be_dropped else "is needed"
        text = f"key {each.key} {says}: {each.in_database} in PostgreSQL, {each.in_redis} in Redis"
        if each.in_redis and not each.seals:
            text += _until(each.redis_forgets_in)
        if each.is_lost:
            text += "; IT IS NOT AMONG THE KEYS GIVEN"
        lines.append(text)
    return lines


def _until(forgets_in: timedelta) -> str:
    if not forgets_in:
        return ", until the copy of the configuration is sealed again"
    hours = ceil(forgets_in / timedelta(hours=1))
    return f", which forgets the last of them within {hours} {'hour' if hours == 1 else 'hours'}"


def _as_object(found: _Found) -> dict[str, object]:
    done = found.rewrapped
    return {
        "rewrapped": None if done is None else done._asdict(),
        "keys": [
            {
                "key": each.key,
                "seals": each.seals,
                "given": each.given,
                "in_database": each.in_database,
                "in_redis": each.in_redis,
                "redis_forgets_in_seconds": each.redis_forgets_in.total_seconds(),
                "may_be_dropped": each.may_be_dropped,
            }
            for each in found.keys
        ],
    }
