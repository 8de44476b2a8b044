"""What browsers are remembered for, in memory."""

import asyncio
from datetime import datetime

from typing_extensions import override

from stepup.domain.account import LOGIN_LIFETIME, KeptRequest
from stepup.domain.browser_session import KEPT_PER_BROWSER, BrowserSession, Proof, SignIn
from stepup.ports import Clock, SessionStore

_SIGN_IN = "in"


class MemorySessionStore(SessionStore):
    """Dictionaries by digest; every method is one step."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, dict[str, Proof | SignIn]] = {}
        self._requests: dict[str, tuple[KeptRequest, datetime]] = {}

    @override
    async def add_proof(self, digest: str, proof: Proof) -> None:
        await asyncio.sleep(0)
        self._keep(digest, proof.challenge_id, proof)

    @override
    async def put_sign_in(self, digest: str, sign_in: SignIn) -> None:
        await asyncio.sleep(0)
        self._keep(digest, _SIGN_IN, sign_in)

    @override
    async def find(self, digest: str) -> BrowserSession:
        await asyncio.sleep(0)
        live = [
            thing
            for thing in self._held.get(digest, {}).values()
            if self._clock.now() < thing.expires_at
        ]
        return BrowserSession(
            proofs=tuple(thing for thing in live if isinstance(thing, Proof)),
            sign_in=next((thing for thing in live if isinstance(thing, SignIn)), None),
        )

    @override
    async def keep_request(self, digest: str, request: KeptRequest) -> None:
        await asyncio.sleep(0)
        self._requests[digest] = (request, self._clock.now() + LOGIN_LIFETIME)

    @override
    async def find_request(self, digest: str) -> KeptRequest | None:
        await asyncio.sleep(0)
        kept = self._requests.get(digest)
        return kept[0] if kept and self._clock.now() < kept[1] else None

    @override
    async def remove(self, digest: str) -> None:
        await asyncio.sleep(0)
        self._held.pop(digest, None)

    def _keep(self, digest: str, name: str, thing: Proof | SignIn) -> None:
        held = self._held.setdefault(digest, {}) | {name: thing}
        latest = sorted(held.items(), key=lambda item: item[1].expires_at, reverse=True)
        self._held[digest] = dict(latest[:KEPT_PER_BROWSER])
