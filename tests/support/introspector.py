"""A process that follows the revocations and says of tokens whether they count; it can be stopped.

`python -m tests.support.introspector <file>`: reads questions from standard input, a line each, and
answers with a line each: `active`, `over` or `unknown`. The file says how it is set up.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import override

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.redis.state import RedisState
from stepup.adapters.system import SystemClock, monotonic
from stepup.crypto.sealing import Sealer
from stepup.crypto.tokens import ReadToken
from stepup.domain.assurance import Acr, Amr
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import (
    ActionName,
    AuthenticatorId,
    ChallengeId,
    ClientId,
    KeyId,
    Subject,
    TokenId,
)
from stepup.domain.policy import Action, Effect
from stepup.domain.token import ElevatedToken
from stepup.policy_language.schema import RequestSchema
from stepup.ports import Ports
from stepup.usecases.revocation_feed import LiveRevocations, follow
from stepup.usecases.token_state import find_state
from tests.support.application import HeldSnapshot, a_policy, a_site, memory_ports

KEY = KeyId("k1")
CRITICAL = ActionName("payments.transfer")


class Believing(LiveRevocations):
    """The control arm: it never asks itself how old its knowledge is."""

    @property
    @override
    def age(self) -> timedelta:
        return timedelta(0)


def a_token(name: str, subject: str = "alice", *, critical: bool = True) -> ElevatedToken:
    """Return a token of now, whose name is its own."""
    now = SystemClock().now()
    return ElevatedToken(
        id=TokenId(name),
        challenge_id=ChallengeId(f"r1.{name}"),
        client_id=ClientId(f"client-of-{name}"),
        authenticators=(AuthenticatorId(f"authenticator-of-{name}"),),
        subject=Subject("https://idp.example", subject),
        audience="bank-api",
        acr=Acr("phr"),
        amr=(Amr("hwk"),),
        auth_time=now,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        action=CRITICAL if critical else None,
    )


@asynccontextmanager
async def opened(
    postgres: str, redis: str, *, believing: bool = False
) -> AsyncIterator[tuple[Ports, LiveRevocations]]:
    """Open the ports of an instance that follows the revocations until the block ends."""
    clock, sealer = SystemClock(), Sealer({1: bytes(range(32))}, os.urandom)
    live = (Believing if believing else LiveRevocations)(monotonic)
    policy = a_policy()
    critical = Action(
        name=CRITICAL,
        schema=RequestSchema((), policy.ladder),
        default=Effect.ALLOW,
        critical=True,
    )
    policy = msgspec.structs.replace(policy, actions={CRITICAL: critical})
    database = PostgresDatabase(postgres, sealer)
    async with RedisState(redis, sealer, clock) as state:
        ports = memory_ports(site=a_site(), snapshot=HeldSnapshot(policy))._replace(
            clock=clock, revocations=live, state=state.stores, database=database
        )
        following = asyncio.create_task(follow(ports, live))
        try:
            yield ports, live
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await database.close()


async def say(ports: Ports, token: ElevatedToken) -> str:
    """Say what an instance says of a token."""
    try:
        state = await find_state(ports, ReadToken(token, KEY))
    except DependencyUnavailableError:
        return "unknown"
    return "over" if state.is_over else "active"


class Introspector:
    """The process, as its parent has it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        described = folder / "introspector.json"
        described.write_text(json.dumps(settings))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.introspector", str(described)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, token: ElevatedToken) -> None:
        """Ask, also while it is stopped: it will find the question when it wakes up."""
        self._process.stdin.write(msgspec.json.encode(token).decode() + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Return the next answer."""
        return self._process.stdout.readline().strip()

    def say(self, token: ElevatedToken) -> str:
        """Ask and return the answer."""
        self.ask(token)
        return self.hear()

    def stop(self) -> None:
        """Keep it from running."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()


async def _serve(settings: dict[str, Any]) -> None:
    async with opened(**settings) as (ports, _):
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            token = msgspec.json.decode(line, type=ElevatedToken)
            sys.stdout.write(f"{await say(ports, token)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(Path(sys.argv[1]).read_text())))
