"""The command line: which commands there are; each is imported when it is called for."""

from importlib import import_module
from importlib.util import find_spec

import rich_click as click
from typing_extensions import override

import stepup as package

# In the order in which one meets them. `stepup --help` imports them all, a command only itself.
_COMMANDS = {
    "dev": "stepup.cli.dev:dev",
    "demo": "stepup.cli.demo:demo",
    "serve": "stepup.cli.serve:serve",
    "doctor": "stepup.cli.doctor:doctor",
    "config": "stepup.cli.config:config",
    "db": "stepup.cli.db:db",
    "policy": "stepup.cli.policy:policy",
    "client": "stepup.cli.client:client",
    "keys": "stepup.cli.keys:keys",
    "audit": "stepup.cli.audit:audit",
    "redis": "stepup.cli.redis:redis",
    "cluster": "stepup.cli.cluster.commands:cluster",
}


class _LazyGroup(click.RichGroup):
    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, at in _COMMANDS.items() if find_spec(at.partition(":")[0])]

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package.__version__, prog_name="stepup")
def stepup() -> None:
    """Step-up authentication beside any identity provider: decide, challenge, verify, grant."""
