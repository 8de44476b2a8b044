"""`stepup serve`: the production entry."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import rich_click as click

from stepup import telemetry
from stepup.cli.children import WorkerError, Workers
from stepup.cli.db import require_schema
from stepup.cli.listening import listen_or_explain
from stepup.cli.settings import load_settings, settings_options
from stepup.cli.stopping import stoppable


@click.command()
@click.option("--workers", type=click.IntRange(0, 256), help="Worker processes; 0 is one per core.")
@settings_options
def serve(workers: int | None, config_file: Path | None, sets: Sequence[str]) -> None:
    """Serve, with one worker process per core, until told to stop.

    SIGTERM makes the server not ready, waits `drain_delay`, finishes what runs and ends.
    """
    settings = load_settings(config_file, sets)
    if workers is not None:
        settings = msgspec.structs.replace(settings, workers=workers)
    telemetry.configure_logging(settings.log_level, settings.log_format)
    require_schema(settings.postgres_url.reveal())
    with stoppable(), ExitStack() as stack:
        sockets = listen_or_explain(settings.host, settings.port)
        for each in sockets:
            stack.enter_context(each)
        running = Workers(settings, sockets)
        stack.callback(running.stop)
        try:
            running.wait_until_ready()
        except WorkerError as error:
            raise click.ClickException(str(error)) from error
        while True:
            time.sleep(0.2)
            running.look_after()
