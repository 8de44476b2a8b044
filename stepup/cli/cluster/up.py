"""Starting a cluster: engines, instances, the demo beside them, and a balancer in front."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import rich_click as click

from stepup import log
from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres_pair import PostgresPair, PostgresServer
from stepup.adapters.embedded.processes import EngineError
from stepup.adapters.embedded.redis_hosts import HOSTS, free_ports
from stepup.adapters.redis.operator import NotInTimeError
from stepup.cli.children import Child
from stepup.cli.client_file import ClientEntry, with_secrets
from stepup.cli.cluster.balancer import Backend, Balancer
from stepup.cli.cluster.control import SOCKET_NAME
from stepup.cli.cluster.instance import Instance
from stepup.cli.cluster.members import Member, Members
from stepup.cli.cluster.redis import Redis, Wanted, new_redis
from stepup.cli.cluster.state import StateFile, member_table
from stepup.cli.cluster.supervisor import Supervisor
from stepup.cli.dev_plan import Demo, Engine, Listening, plan_clients, plan_settings
from stepup.cli.dev_ready import print_table, ready_document, wait_until_answers, write_ready_file
from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.cli.dev_start import prepare, start_demo_beside
from stepup.cli.listening import listen_or_explain, port_of
from stepup.cli.settings import parse_sets
from stepup.config import Settings

_POSTGRES_PORT = 5432
_HOW_IT_ENDS = "Ctrl-C or `stepup cluster down` ends everything."


class Plan(NamedTuple):
    """What is to be started."""

    instances: int
    sharded: bool
    port: int
    data_dir: Path
    policy: Path | None
    clients: Path | None
    sets: Sequence[str]
    demo: bool
    ready_file: Path | None
    down_after: int


def run_cluster(plan: Plan, stack: ExitStack) -> None:
    """Start everything, empty, and look after it until somebody ends it."""
    sockets = listen_or_explain("127.0.0.1", plan.port)
    for each in sockets:
        stack.enter_context(each)
    port = port_of(sockets)
    try:
        _Starting(plan, port, stack).run(sockets)
    except (EngineError, NotInTimeError) as error:
        raise click.ClickException(str(error)) from error


class _Starting:
    """The parts of a cluster, in the order in which they need each other."""

    def __init__(self, plan: Plan, port: int, stack: ExitStack) -> None:
        self._plan = plan
        self._port = port
        self._stack = stack
        self._directory = DataDirectory(plan.data_dir, reset=True)
        stack.callback(self._directory.close)
        self._secrets = DevelopmentSecrets.kept_in(self._directory.path)
        self._state = StateFile(self._directory.path)
        stack.callback(self._state.remove)

    def run(self, sockets: Sequence[Any]) -> None:
        """Start it all and stay."""
        demo = Demo.on_free_ports(self._port) if self._plan.demo else None
        redis, postgres = self._engines()
        settings = self._settings(redis, postgres, demo)
        planned = plan_clients(self._plan.clients, demo, self._port)
        clients = with_secrets(planned, self._secrets.client_secret)
        prepare(settings, self._plan.policy, clients)
        instances = self._instances(settings)
        for instance in instances:
            instance.wait_until_ready()
        members = [
            *redis.members(),
            *(_postgres_member(server, postgres) for server in postgres.servers),
            *map(_instance_member, instances),
        ]
        if demo is not None:
            members.append(_demo_member(settings, demo, clients, self._stack))
        supervisor = Supervisor(Members(members), redis, postgres)
        balancer = Balancer([Backend(instance.address) for instance in instances])
        control = self._directory.sockets / SOCKET_NAME
        control.unlink(missing_ok=True)  # of one that was killed; we hold the folder's lock

        def ready() -> None:
            wait_until_answers(f"http://127.0.0.1:{self._port}/readyz", "the service")
            self._announce(ready_document(settings, demo, clients), control, supervisor)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(each, supervisor.end)
            await supervisor.run(control, (balancer, sockets), ready)

        asyncio.run(main())

    def _engines(self) -> tuple[Redis, PostgresPair]:
        (port,) = free_ports(1, (_POSTGRES_PORT,))
        folder = self._directory.folder("redis")
        password = self._secrets.engine_password
        redis = new_redis(Wanted(self._plan.sharded, self._plan.down_after, folder, password))
        self._stack.callback(redis.stop)
        addresses = [(host, port) for host in HOSTS[:2]]
        postgres = PostgresPair(self._directory, addresses, password)
        self._stack.callback(postgres.stop)
        asyncio.run(redis.start())
        # While the nodes get to know each other.
        postgres.start()
        asyncio.run(redis.healthy())
        return redis, postgres

    def _settings(self, redis: Redis, postgres: PostgresPair, demo: Demo | None) -> Settings:
        listening = Listening("127.0.0.1", self._port, 1)
        engine = Engine(postgres.url, redis.url)
        sets = parse_sets(self._plan.sets)
        settings = plan_settings(engine, self._secrets, demo, listening, sets)
        log.configure_logging(settings.log_level, settings.log_format)
        return settings

    def _instances(self, settings: Settings) -> list[Instance]:
        logs = self._directory.folder("logs")
        rows = -(-self._plan.instances // len(HOSTS))
        # The balancer's own on every host, if it is free there.
        ports = free_ports(rows, range(self._port, self._port + rows))
        found = []
        for index in range(self._plan.instances):
            address = (HOSTS[index % len(HOSTS)], ports[index // len(HOSTS)])
            name = f"instance-{index + 1}"
            instance = Instance(name, address, settings, logs / f"{name}.log")
            self._stack.callback(instance.stop)
            instance.begin()
            found.append(instance)
        return found

    def _announce(self, document: dict[str, Any], control: Path, supervisor: Supervisor) -> None:
        shown = asyncio.run(supervisor.handle("status", ""))["members"]
        self._state.write(document, control, shown)
        if self._plan.ready_file is not None:
            write_ready_file(self._plan.ready_file, document)
            self._stack.callback(self._plan.ready_file.unlink, missing_ok=True)
        print_table(document, ending=_HOW_IT_ENDS)
        for line in member_table(shown):
            click.echo(f"  {line}")


def _postgres_member(server: PostgresServer, pair: PostgresPair) -> Member:
    return Member(
        server.name, server.address, lambda: server.process, lambda: pair.start_again(server)
    )


def _instance_member(instance: Instance) -> Member:
    return Member(instance.name, instance.address, lambda: instance.process, instance.start)


def _demo_member(
    settings: Settings, demo: Demo, clients: Sequence[ClientEntry], stack: ExitStack
) -> Member:
    running: list[Child] = []

    def start() -> None:
        running[:] = [start_demo_beside(settings, demo, clients, stack)]

    start()
    for url in (f"{demo.idp}/.well-known/openid-configuration", f"{demo.bank}/"):
        wait_until_answers(url, "the demo", running[0])
    return Member("demo", ("127.0.0.1", demo.bank_port), lambda: running[0], start)
