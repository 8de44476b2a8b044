"""What a development service begins with: clients, and our own policy."""

from collections.abc import Sequence

from stepup import wiring
from stepup.cli.applying import apply_clients, apply_policy
from stepup.cli.client_file import ClientEntry
from stepup.config import Settings
from stepup.usecases import policies

_AUTHOR = "stepup dev --policy"
_DEFAULT = "stepup dev"


async def load_policy_and_clients(
    settings: Settings, policy: str | None, entries: Sequence[ClientEntry]
) -> None:
    """Make keys at the first start, put the clients, activate the policy if it is new.

    Without a policy what somebody activated stays; only our own default gives way to a newer one.
    """
    async with wiring.open_ports(settings) as (ports, sealer):
        await apply_clients(ports, sealer, entries)
        if policy is not None:
            await apply_policy(ports, sealer, policy, _AUTHOR)
            return
        active = await policies.find_active(ports)
        if active is None or active.author == _DEFAULT:
            await apply_policy(ports, sealer, policies.development_document(), _DEFAULT)
