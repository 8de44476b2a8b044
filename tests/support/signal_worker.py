"""A process that pushes security events, for tests that kill it: `python -m ... URL`."""

import asyncio
import os
import sys
from datetime import timedelta

from stepup.adapters.observed_signals import ObservedSignals
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.receivers.pushing import HttpPusher
from stepup.adapters.system import SystemClock
from stepup.crypto.keys import generate_signing_key
from stepup.crypto.sealing import Sealer
from stepup.domain.client import Role
from stepup.domain.keyring import Keyring, KeyState, KeyUse
from stepup.usecases import push_signals
from tests.support.application import HeldSnapshot, a_client, a_policy, memory_ports

# A dead one loses its turn sooner here than it does in earnest.
TURN = timedelta(seconds=2)


async def main(url: str) -> None:
    """Push until killed."""
    key = generate_signing_key("RS256", state=KeyState.ACTIVE, use=KeyUse.SET)
    keyring = Keyring(keys=(key,), root=b"r" * 32)
    database = PostgresDatabase(url, Sealer({1: bytes(32)}, os.urandom))
    client = a_client(keyring, "crm", roles=frozenset({Role.SSF}))
    snapshot = HeldSnapshot(a_policy(), keyring, {client.client_id: client})
    ports = memory_ports(snapshot=snapshot)._replace(clock=SystemClock(), database=database)
    push_signals.TURN = TURN
    await push_signals.push(ports, HttpPusher(development=True), ObservedSignals())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
