"""One task of an operator over opened ports; what goes wrong is one line."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import rich_click as click

from stepup import wiring
from stepup.config import Settings
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.policy_errors import ApprovalRequiredError
from stepup.ports import Ports
from stepup.ports.key_wrapping import KeyWrapError

WITHOUT_APPROVAL = "the first policy and `policy_approvals` 0 need no approval"
_Done = TypeVar("_Done")


async def operate(settings: Settings, task: Callable[[Ports, Sealer], Awaitable[_Done]]) -> _Done:
    """Do something with the ports, or end the command with one line."""
    try:
        async with wiring.open_ports(settings) as (ports, sealer):
            return await task(ports, sealer)
    except (DependencyUnavailableError, KeyWrapError) as error:
        raise click.ClickException(str(error)) from error
    except ApprovalRequiredError as error:
        raise click.ClickException(f"{error} ({WITHOUT_APPROVAL})") from error
    except UnsealError as error:
        raise click.ClickException(f"STEPUP_KEY_ENCRYPTION_KEYS: {error}") from error
