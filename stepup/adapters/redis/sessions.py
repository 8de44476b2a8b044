"""What browsers are remembered for: a hash each, every thing in it under a seal of its own."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.scripts import Argument
from stepup.adapters.redis.times import epoch_ms, span_ms
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.account import LOGIN_LIFETIME, KeptRequest
from stepup.domain.browser_session import KEPT_PER_BROWSER, BrowserSession, Proof, SignIn
from stepup.domain.errors import DependencyUnavailableError, NewerFormatError
from stepup.ports import Clock, SessionStore

_json = msgspec.json.Encoder()
_proof = msgspec.json.Decoder(Proof)
_sign_in = msgspec.json.Decoder(SignIn)
_request = msgspec.json.Decoder(KeptRequest)

_SIGN_IN = b"in"
_PROOF = b"p:"

Kept = TypeVar("Kept", Proof, SignIn)


class RedisSessionStore(SessionStore):
    """One hash for each browser; key and name are the seal's context, so nothing changes places."""

    def __init__(self, client: RedisClient, sealer: Sealer, clock: Clock) -> None:
        self._client = client
        self._sealer = sealer
        self._clock = clock

    @override
    async def add_proof(self, digest: str, proof: Proof) -> None:
        await self._keep(digest, _PROOF + proof.challenge_id.encode(), proof, proof.expires_at)

    @override
    async def put_sign_in(self, digest: str, sign_in: SignIn) -> None:
        await self._keep(digest, _SIGN_IN, sign_in, sign_in.expires_at)

    @override
    async def find(self, digest: str) -> BrowserSession:
        key = keys.browser_session(digest)
        try:
            reply = await self._client.run(scripts.READ_HASH, [key])
        except NewerFormatError:
            # Whoever moves between releases is asked once more.
            return BrowserSession()
        return self._session(key, reply.values) if reply.status == "ok" else BrowserSession()

    @override
    async def remove(self, digest: str) -> None:
        await self._client.call("DEL", keys.browser_session(digest))

    @override
    async def keep_request(self, digest: str, request: KeptRequest) -> None:
        key = keys.kept_request(digest)
        sealed = self._sealer.seal(_json.encode(request), context=key)
        await self._client.call("SET", key, sealed, "PX", span_ms(LOGIN_LIFETIME))

    @override
    async def find_request(self, digest: str) -> KeptRequest | None:
        key = keys.kept_request(digest)
        sealed = await self._client.call("GET", key)
        try:
            return (
                None
                if sealed is None
                else _request.decode(self._sealer.unseal(sealed, context=key))
            )
        except UnsealError as error:
            # A key-encryption key is missing here; another instance may well have it.
            raise DependencyUnavailableError from error

    async def _keep(
        self, digest: str, name: bytes, thing: msgspec.Struct, expires_at: datetime
    ) -> None:
        key = keys.browser_session(digest)
        sealed = self._sealer.seal(_json.encode(thing), context=_context(key, name))
        until = epoch_ms(expires_at)
        args: list[Argument] = [epoch_ms(self._clock.now()), name, until, sealed, KEPT_PER_BROWSER]
        with suppress(NewerFormatError):
            await self._client.run(scripts.KEEP_IN_SESSION, [key], args)

    def _session(self, key: str, values: Sequence[bytes]) -> BrowserSession:
        held = dict(zip(values[::2], values[1::2], strict=True))
        proofs = [
            self._read(key, name, value, _proof)
            for name, value in held.items()
            if name.startswith(_PROOF)
        ]
        sign_in = self._read(key, _SIGN_IN, held.get(_SIGN_IN, b""), _sign_in)
        return BrowserSession(proofs=tuple(p for p in proofs if p is not None), sign_in=sign_in)

    def _read(
        self, key: str, name: bytes, value: bytes, decoder: msgspec.json.Decoder[Kept]
    ) -> Kept | None:
        try:
            sealed = value.partition(b"|")[2]
            kept = decoder.decode(self._sealer.unseal(sealed, context=_context(key, name)))
        except UnsealError:
            # Under a key that this instance does not have: somebody is asked once more.
            return None
        # What is under the seal counts: whoever can write here can move the moment beside it.
        return kept if self._clock.now() < kept.expires_at else None


def _context(key: str, name: bytes) -> str:
    return f"{key}|{name.decode()}"
