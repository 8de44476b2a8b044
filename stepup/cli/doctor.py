"""`stepup doctor`: does everything that the service stands on stand?"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import rich_click as click

from stepup import wiring
from stepup.cli.as_json import json_array_option
from stepup.cli.db import schema_finding
from stepup.cli.findings import FINDINGS
from stepup.cli.settings import load_settings, settings_options, with_keys
from stepup.config import Settings
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import StepUpError
from stepup.domain.ids import ChallengeId
from stepup.ports import Ports
from stepup.usecases import keys as keyrings

_PATIENCE = timedelta(seconds=5)


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str


@click.command()
@settings_options
@json_array_option
def doctor(config_file: Path | None, sets: Sequence[str], as_json: bool) -> None:
    """Look at settings, database, schema, Redis, keys and policy; exit with 3 on a finding."""
    settings = with_keys(load_settings(config_file, sets))
    schema = schema_finding(settings.postgres_url.reveal())
    findings = [
        Finding("settings", True, f"the issuer is {settings.issuer}"),
        Finding("schema", schema is None, schema or "up to date"),
        *asyncio.run(_look(settings, with_content=schema is None)),
    ]
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.text}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(FINDINGS)


async def _look(settings: Settings, *, with_content: bool) -> list[Finding]:
    async with wiring.open_ports(settings) as (ports, sealer):
        stores = [
            await _finding("postgres", lambda: _postgres(settings, ports)),
            await _finding("redis", lambda: _redis(ports)),
            await _finding("redis settings", lambda: _redis_settings(settings)),
        ]
        if not with_content:  # without the schema there is no table to look into
            return stores
        return [
            *stores,
            await _finding("keys", lambda: _keys(ports, sealer)),
            await _finding("policy", lambda: _policy(ports)),
        ]


async def _finding(name: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return Finding(name, True, await look())
    except (StepUpError, UnsealError, LookupError, ValueError) as error:
        return Finding(name, False, str(error))
    except TimeoutError:
        return Finding(name, False, f"no answer in {_PATIENCE.total_seconds():.0f} s")


async def _postgres(settings: Settings, ports: Ports) -> str:
    await ports.database.check()
    standbys = await wiring.standbys_of_postgres(settings)
    if standbys.are_missing:
        raise ValueError(standbys)
    return f"answers; {standbys}"


async def _redis(ports: Ports) -> str:
    await ports.state.tokens.is_usable(ChallengeId("doctor.0"))
    return "answers"


async def _redis_settings(settings: Settings) -> str:
    found = await wiring.inspect_redis(settings)
    if wrong := [*found.contradictions, *found.passing, *found.away]:
        raise ValueError("; ".join(wrong))
    if not found.is_complete:
        raise ValueError("not every primary answers")
    return "; but ".join(["keep what is promised", *found.advice])


async def _keys(ports: Ports, sealer: Sealer) -> str:
    async with ports.database.transaction() as stores:
        if not await stores.keys.all():
            raise LookupError("there are none; the first `stepup serve` makes them")
        keyring = await keyrings.read_keyring(stores, sealer)
    return f"{len(keyring.keys)} open; {keyring.active.id} signs"


async def _policy(ports: Ports) -> str:
    async with ports.database.transaction() as stores:
        active = await stores.policies.find_active()
    if active is None:
        raise LookupError("none is active; run `stepup policy apply FILE`")
    return f"version {active.version} is active"
