"""`stepup dev`: the whole service on this machine, in one command."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import rich_click as click

from stepup import log
from stepup.cli.children import WorkerError, Workers
from stepup.cli.client_file import with_secrets
from stepup.cli.data_folder import READY_NAME, SETTINGS_NAME, default_data_dir
from stepup.cli.dev_plan import (
    Demo,
    Engine,
    plan_clients,
    plan_listening,
    plan_settings,
)
from stepup.cli.dev_ready import (
    print_table,
    ready_document,
    wait_until_answers,
    write_ready_file,
    write_settings_file,
)
from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.cli.dev_start import prepare, start_demo_beside
from stepup.cli.engines import Engines
from stepup.cli.files import EXISTING_FILE, FILE_OR_FOLDER
from stepup.cli.listening import listen_or_explain, port_of
from stepup.cli.settings import parse_sets
from stepup.cli.stopping import stoppable
from stepup.config import Settings
from stepup.config_values import is_loopback


class _Options(NamedTuple):
    """The command's options."""

    host: str | None
    port: int | None
    data_dir: Path
    policy: Path | None
    clients: Path | None
    sets: Sequence[str]
    demo: bool
    workers: int | None
    postgres: str | None
    redis: str | None
    ready_file: Path | None
    reset: bool


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 is a free one.  [default: 8000]"
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the engines keep data.")
@click.option("--policy", type=FILE_OR_FOLDER, help="Policy to activate: a file or a folder.")
@click.option("--clients", type=EXISTING_FILE, help="List of clients, as YAML or JSON.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="One setting.")
@click.option("--no-demo", "demo", flag_value=False, default=True, help="Service only.")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes.  [default: 1]")
@click.option("--postgres", metavar="URL", help="Use this PostgreSQL instead of an embedded one.")
@click.option("--redis", metavar="URL", help="Use this Redis instead of an embedded one.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Written when all answers.")
@click.option("--reset", is_flag=True, help="Empty the data directory first.")
def dev(**options: Any) -> None:
    """Run everything here: engines, service, demo identity provider and demo bank.

    Ctrl-C stops all of it.
    """
    options["data_dir"] = options["data_dir"] or default_data_dir()
    chosen = _Options(**options)
    with stoppable(), ExitStack() as stack:
        _run(chosen, stack)


def _run(options: _Options, stack: ExitStack) -> None:
    sets = parse_sets(options.sets)
    given = {"host": options.host, "port": options.port, "workers": options.workers}
    listening = plan_listening(given, sets)
    sockets = listen_or_explain(listening.host, listening.port)
    for each in sockets:
        stack.enter_context(each)
    listening = listening._replace(port=port_of(sockets))
    port = listening.port
    demo = Demo.on_free_ports(port) if options.demo else None
    # Processes import while others prepare what they need: the start is half as long.
    running = Workers(sockets, listening.workers)
    stack.callback(running.stop)
    engine, secrets = _engines(options, stack)
    _refuse_guessable(secrets, listening.host)
    settings = plan_settings(engine, secrets, demo, listening, sets)
    log.configure_logging(settings.log_level, settings.log_format)
    clients = with_secrets(plan_clients(options.clients, demo, port), secrets.client_secret)
    bank = start_demo_beside(settings, demo, clients, stack) if demo else None
    prepare(settings, options.policy, clients)
    _serve(running, settings)
    if demo is not None:
        for url in (f"{demo.idp}/.well-known/openid-configuration", f"{demo.bank}/"):
            wait_until_answers(url, "the demo", bank)
    _tell(options, settings, ready_document(settings, demo, clients), stack)
    while True:
        time.sleep(0.2)
        running.look_after()
        if bank is not None and not bank.alive:
            raise click.ClickException("the demo ended; the lines above say why")


def _tell(
    options: _Options, settings: Settings, document: dict[str, Any], stack: ExitStack
) -> None:
    settings_file = options.data_dir / SETTINGS_NAME
    write_settings_file(settings_file, settings)
    stack.callback(settings_file.unlink, missing_ok=True)
    document["settings"] = str(settings_file.absolute())
    # In the data folder too, where `stepup demo --headless` looks for a service that runs here.
    for path in filter(None, (options.ready_file, options.data_dir / READY_NAME)):
        write_ready_file(path, document)
        stack.callback(path.unlink, missing_ok=True)
    print_table(document)


def _engines(options: _Options, stack: ExitStack) -> tuple[Engine, DevelopmentSecrets]:
    engines = Engines(options.data_dir, reset=options.reset, stack=stack)
    if options.postgres is not None:
        secrets = DevelopmentSecrets.shared_by(options.postgres)
        postgres = options.postgres
    else:
        postgres = engines.postgres()
        secrets = DevelopmentSecrets.kept_in(options.data_dir)
    return Engine(postgres, options.redis or engines.redis()), secrets


def _refuse_guessable(secrets: DevelopmentSecrets, host: str) -> None:
    if secrets.guessable and not is_loopback(host):
        raise click.ClickException(
            f"will not listen on {host}: the --postgres URL has no password, so everybody could "
            "compute the admin token; give it one, or listen on 127.0.0.1"
        )


def _serve(running: Workers, settings: Settings) -> None:
    running.serve(settings)
    try:
        running.wait_until_ready()
    except WorkerError as error:
        raise click.ClickException(str(error)) from error
    wait_until_answers(f"http://127.0.0.1:{settings.port}/readyz", "the service")
