"""Groups of commands that are imported when they are called for: `stepup --help` imports all."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import rich_click as click
from typing_extensions import override


class LazyGroup(click.RichGroup):
    """A group whose commands are named as `package.module:attribute`, in the order shown."""

    def __init__(self, *arguments: Any, commands_at: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._commands_at = commands_at

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, at in self._commands_at.items() if find_spec(at.partition(":")[0])]

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, attribute = self._commands_at[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command
