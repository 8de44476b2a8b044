"""The operator of the host, who has the database and needs nobody's leave."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import rich_click as click

from stepup.cli.operating import operate
from stepup.config import Settings
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import StepUpError
from stepup.ports import Ports
from stepup.usecases.keys import ensure_keys

_Done = TypeVar("_Done")


def operator() -> str:
    """Return whoever sits at this host, for the audit log."""
    try:
        return f"host:{getpass.getuser()}"
    except (KeyError, OSError):
        # A container's user may have no name.
        return f"host:{os.getuid()}"


def run(settings: Settings, task: Callable[[Ports, Sealer], Awaitable[_Done]]) -> _Done:
    """Do something with the ports; a refusal is one line."""

    async def after_the_first_start(ports: Ports, sealer: Sealer) -> _Done:
        # What is recorded is chained under a key: it may be the first record.
        await ensure_keys(ports, sealer)
        return await task(ports, sealer)

    try:
        return asyncio.run(operate(settings, after_the_first_start))
    except StepUpError as error:
        raise click.ClickException(error.detail) from error
