"""Which service a verb works on: the one whose settings are here, or the one that `--server` names."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import rich_click as click

from stepup.cli.operating import operate
from stepup.cli.policy import remote
from stepup.cli.policy.host import HostService, explained
from stepup.cli.policy.service import Service
from stepup.cli.settings import load_settings, settings_options
from stepup.config import Settings
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import StepUpError
from stepup.ports import Ports

_Command = TypeVar("_Command", bound=Callable[..., object])
_Done = TypeVar("_Done")


class Reach(NamedTuple):
    """How to reach a service."""

    config_file: Path | None
    sets: Sequence[str]
    server: str | None
    key_file: Path | None

    def run(self, task: Callable[[Service], Awaitable[_Done]]) -> _Done:
        """Do something with the service, or end the command with one line."""
        if self.server is None:
            return asyncio.run(self._on_the_host(task))
        return asyncio.run(self._by_the_api(remote.checked_server(self.server), task))

    async def _on_the_host(self, task: Callable[[Service], Awaitable[_Done]]) -> _Done:
        async def work(ports: Ports, sealer: Sealer) -> _Done:
            try:
                return await task(HostService(ports, sealer))
            except StepUpError as error:
                raise explained(error) from error

        return await operate(self._settings(), work)

    def _settings(self) -> Settings:
        try:
            return load_settings(self.config_file, self.sets)
        except click.ClickException as error:
            other = "Away from the host, --server works through the API of a service."
            raise click.ClickException(f"{error.message}\n{other}") from error

    async def _by_the_api(self, server: str, task: Callable[[Service], Awaitable[_Done]]) -> _Done:
        async with remote.open_client(server, remote.read_key(self.key_file)) as client:
            return await task(remote.RemoteService(client))


def reach_options(command: _Command) -> _Command:
    """Give a command the options that say how to reach a service; see `reach_of`."""
    server = click.option(
        "--server",
        envvar="STEPUP_SERVER",
        metavar="URL",
        help="Work through the admin API of this service, with a key in STEPUP_API_KEY.",
    )
    key_file = click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="With --server: the file that has the key.",
    )
    return settings_options(server(key_file(command)))
