"""A process that redeems codes with the use case, and says how far it got: it is there to be killed.

Reads lines `<challenge> <attempt>`, redeems them all at once, and writes `signed <challenge>
<attempt> <answer>` when a token exists, and `answered ...` when its caller has it.
"""

import asyncio
import random
import secrets
import sys
from datetime import datetime

from typing_extensions import override

from stepup.adapters.redis.challenges import RedisChallengeStore
from stepup.adapters.redis.outbox import RedisOutbox
from stepup.adapters.system import SystemClock, SystemEntropy
from stepup.domain.client import Client
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AttemptId, TokenId
from stepup.ports import AuditRecorded, OutboxEntry, Ports, PresentedCode, Redemption
from stepup.usecases import redeem as use_case
from tests.fault.history import History
from tests.fault.instances import SECRET, Instance, Protection
from tests.support.application import HeldSnapshot, a_client, a_keyring, a_policy, memory_ports
from tests.support.builders import an_authorization
from tests.support.world import PKCE_VERIFIER

_LONGEST_PAUSE = 0.15


class _Slow(RedisChallengeStore):
    """Takes its time between the script and the signature."""

    @override
    async def redeem_code(
        self, code: PresentedCode, attempt: AttemptId, now: datetime, *, everywhere: bool = False
    ) -> Redemption:
        redemption = await super().redeem_code(code, attempt, now, everywhere=everywhere)
        await _pause()
        return redemption


class _Telling(RedisOutbox):
    """Takes its time between the signature and the answer."""

    @override
    async def append(self, *entries: OutboxEntry) -> None:
        for event in (entry.event for entry in entries if isinstance(entry, AuditRecorded)):
            _say("signed", event.challenge_id, event.details["jti"], event.at)
        await _pause()
        await super().append(*entries)


async def main(url: str, protection: Protection) -> None:
    """Redeem every code that standard input names."""
    if protection is Protection.DRAWN_TOKEN:
        use_case.token_id = lambda *_: TokenId(secrets.token_urlsafe(12))
    keyring = a_keyring()
    client = a_client(keyring)
    ports = memory_ports(snapshot=HeldSnapshot(a_policy(), keyring, {client.client_id: client}))
    instance = await Instance(url, "victim", History(), protection).open()
    state = ports.state._replace(
        challenges=_Slow(instance.client, instance.sealer, SystemClock()),
        tokens=instance.tokens,
        outbox=_Telling(instance.client),
    )
    ports = ports._replace(clock=SystemClock(), entropy=SystemEntropy(), state=state)
    _say("ready")
    async with asyncio.TaskGroup() as group:
        for line in sys.stdin:
            target, attempt = line.split()
            group.create_task(_redeem(ports, client, target, AttemptId(attempt)))
    await instance.close()


async def _redeem(ports: Ports, client: Client, target: str, attempt: AttemptId) -> None:
    grant = use_case.CodeGrant(
        code=f"{target}.{SECRET}",
        redirect_uri=an_authorization().redirect_uri,
        code_verifier=PKCE_VERIFIER,
    )
    while True:
        try:
            issued = await use_case.redeem(ports, client, grant, attempt)
        except DependencyUnavailableError:
            await asyncio.sleep(0.02)
        else:
            break
    _say("answered", target, issued.token.id, issued.token.issued_at)


def _say(*words: object) -> None:
    print(*(w.isoformat() if isinstance(w, datetime) else w for w in words), flush=True)  # noqa: T201


async def _pause() -> None:
    await asyncio.sleep(random.random() * _LONGEST_PAUSE)  # noqa: S311  when it is killed


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Protection(sys.argv[2])))
