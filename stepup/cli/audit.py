"""`stepup audit`: prove the audit log, and take it out."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import rich_click as click
from typing_extensions import override

from stepup import wiring
from stepup.cli.as_json import json_option
from stepup.cli.audit_rows import FORMATS
from stepup.cli.findings import FINDINGS
from stepup.cli.settings import load_settings, settings_options, with_keys
from stepup.config import Settings
from stepup.crypto import audit_chain
from stepup.crypto.audit_chain import ChainHead
from stepup.crypto.sealing import UnsealError
from stepup.domain.errors import StepUpError
from stepup.ports import Ports
from stepup.usecases import audit as log
from stepup.usecases import keys

_T = TypeVar("_T")


class _Moment(click.ParamType[datetime]):
    name = "moment"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date or time of ISO 8601", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Head(click.ParamType[ChainHead]):
    name = "head"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ChainHead:
        try:
            return ChainHead.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not what `stepup audit anchor` prints", param, ctx)


@click.group()
def audit() -> None:
    """Prove that the audit log is whole, and take it out."""


@audit.command()
@settings_options
@click.option(
    "--head",
    type=_Head(),
    metavar="POSITION:HASH",
    help="What `stepup audit anchor` printed once; without it a cut-off end is not found.",
)
@json_option
def verify(
    config_file: Path | None, sets: Sequence[str], head: ChainHead | None, as_json: bool
) -> None:
    """Walk the whole chain; exit with 3 and the first fault when it does not hold."""
    settings = with_keys(load_settings(config_file, sets))
    verified = _run(settings, lambda ports, key: log.verify(ports, key, head))
    if as_json:
        click.echo(json.dumps(_as_object(verified), indent=2))
    else:
        click.echo("\n".join(_as_text(verified)))
    if not verified.holds:
        raise SystemExit(FINDINGS)


@audit.command()
@settings_options
@click.option("--from", "since", type=_Moment(), metavar="TIME", help="From then on, ISO 8601.")
@click.option("--to", "until", type=_Moment(), metavar="TIME", help="Before then, ISO 8601.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(FORMATS)),
    default="jsonl",
    show_default=True,
    help="A JSON object in each line, or a table.",
)
def export(
    config_file: Path | None,
    sets: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    form: str,
) -> None:
    """Write the entries of a time span to standard output; UTC unless a time says otherwise."""

    async def write(ports: Ports, _key: bytes) -> None:
        lines = FORMATS[form]()
        for line in lines.head():
            click.echo(line)
        async for record in log.export(ports, since, until):
            click.echo(lines.row(record))

    _run(with_keys(load_settings(config_file, sets)), write)


@audit.command()
@settings_options
def anchor(config_file: Path | None, sets: Sequence[str]) -> None:
    """Print the head of the chain, to be kept where nobody who writes the database can write."""
    settings = with_keys(load_settings(config_file, sets))
    click.echo(_run(settings, lambda ports, _key: log.head(ports)))


@audit.command()
@settings_options
def adopt(config_file: Path | None, sets: Sequence[str]) -> None:
    """Chain the entries that a release without a chain wrote, once none of it runs any more."""
    settings = with_keys(load_settings(config_file, sets))
    count = _run(settings, lambda ports, _key: log.adopt(ports))
    click.echo(f"{count} entries chained")


def _as_text(verified: log.Verified) -> list[str]:
    lines = [f"{verified.head.position} entries hold, up to {verified.head}"]
    broken = verified.broken
    if broken is not None:
        named = f" (entry {broken.entry_id})" if broken.entry_id else ""
        lines.append(f"{broken.fault} at position {broken.position}{named}: {broken.text}")
    if verified.unchained:
        lines.append(
            f"{verified.unchained} entries stand outside the chain: a release before it wrote "
            "them (`stepup audit adopt`), or somebody else"
        )
    return lines


def _as_object(verified: log.Verified) -> dict[str, object]:
    broken = verified.broken
    return {
        "holds": verified.holds,
        "head": str(verified.head),
        "broken": None if broken is None else msgspec.to_builtins(broken),
        "unchained": verified.unchained,
    }


def _run(settings: Settings, task: Callable[[Ports, bytes], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        async with _opened(settings) as (ports, key):
            return await task(ports, key)

    try:
        return asyncio.run(run())
    except (StepUpError, UnsealError, LookupError) as error:
        raise click.ClickException(str(error)) from error


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Ports, bytes]]:
    async with wiring.open_ports(settings) as (ports, sealer):
        keyring = await log.read_patiently(ports, lambda stores: keys.read_keyring(stores, sealer))
        yield ports, audit_chain.chain_key(keyring.root)
