"""`stepup serve`: the production entry."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import rich_click as click
import structlog

from stepup import log, wiring
from stepup.cli.children import WorkerError, Workers
from stepup.cli.listening import listen_or_explain
from stepup.cli.settings import load_settings, settings_options, with_keys
from stepup.cli.stopping import stoppable
from stepup.config import Settings
from stepup.domain.errors import DependencyUnavailableError

_logger: structlog.stdlib.BoundLogger = structlog.get_logger("stepup.serve")
_AWAY = "the database does not answer"
_WITH_COPY = "this begins with the copy of policy, clients and keys in Redis"
_WITHOUT_COPY = (
    "Redis has no copy of policy, clients and keys that STEPUP_KEY_ENCRYPTION_KEYS open for this "
    "issuer, or does not answer either; this is not ready before one of them does"
)
# An operator who sees to the database need not wait, and a dead address costs seconds each time.
_ASK_AGAIN = 2.0
_NO_POLICY = "no policy is active, so this is not ready; run `stepup policy apply FILE`"


@click.command()
@click.option("--workers", type=click.IntRange(0, 256), help="Worker processes; 0 is one per core.")
@settings_options
def serve(workers: int | None, config_file: Path | None, sets: Sequence[str]) -> None:
    """Serve, with one worker process per core, until told to stop.

    Makes the keys at the first start. SIGTERM makes the server not ready, waits `drain_delay`,
    finishes what runs and ends.
    """
    settings = load_settings(config_file, sets)
    if workers is not None:
        settings = msgspec.structs.replace(settings, workers=workers)
    # Once, for all workers and those that take their place: who serves needs no token.
    settings = with_keys(settings)
    log.configure_logging(settings.log_level, settings.log_format)
    with stoppable(), ExitStack() as stack:
        sockets = listen_or_explain(settings.host, settings.port)
        for each in sockets:
            stack.enter_context(each)
        running = Workers(sockets, settings.workers)
        stack.callback(running.stop)
        prepared = _prepare(settings)
        if not prepared:
            found = _WITH_COPY if _has_copy(settings) else _WITHOUT_COPY
            _logger.warning("postgres_away", detail=f"{_AWAY}; {found}")
        running.serve(settings)
        try:
            running.wait_until_ready()
        except WorkerError as error:
            raise click.ClickException(str(error)) from error
        asked_at = time.monotonic()
        while True:
            time.sleep(0.2)
            running.look_after()
            if not prepared and time.monotonic() - asked_at > _ASK_AGAIN:
                prepared = _prepare(settings)
                asked_at = time.monotonic()


def _prepare(settings: Settings) -> bool:
    """See to it that there are a schema and keys; say what to do when there is no policy.

    False while PostgreSQL is away: then the workers begin with what Redis keeps, and this is done
    when it is back.
    """
    # Imported while the workers import what they need.
    from stepup.cli.applying import first_start_if_possible  # noqa: PLC0415
    from stepup.cli.db import has_schema  # noqa: PLC0415
    from stepup.cli.operating import operate  # noqa: PLC0415

    reached = has_schema(settings.postgres_url.reveal())
    _require_safe_redis(settings)
    has_policy = asyncio.run(operate(settings, first_start_if_possible)) if reached else None
    if has_policy is False:
        _logger.warning("no_policy", detail=_NO_POLICY)
    return has_policy is not None


def _has_copy(settings: Settings) -> bool:
    from stepup.usecases.sealed_copy import can_start  # noqa: PLC0415  see _prepare

    async def look() -> bool:
        async with wiring.open_ports(settings) as (ports, sealer):
            return await can_start(ports, sealer)

    try:
        return asyncio.run(look())
    except DependencyUnavailableError:
        return False


def _require_safe_redis(settings: Settings) -> None:
    """Refuse a server that cannot keep our promises; in development the workers only warn."""
    if settings.development:
        return
    try:
        found = asyncio.run(wiring.inspect_redis(settings)).contradictions
    except DependencyUnavailableError:
        # An instance can start while Redis is away; it is not ready before it has looked.
        return
    if found:
        raise click.ClickException(f"Redis: {'; '.join(found)}")
