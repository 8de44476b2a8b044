"""The sealed copy of the configuration from which an instance starts without PostgreSQL."""

from datetime import datetime

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.client_record import KeptClient
from stepup.domain.errors import NewerFormatError
from stepup.domain.keyring import KeyState, KeyUse, SealedKey
from stepup.ports import Configuration, Confirmation, SnapshotStore
from stepup.ports.snapshots import ILLEGIBLE


class _Copy(Configuration, frozen=True, kw_only=True):
    """A configuration as it is kept: the keys of one ring, and of all others.

    The release before knows one ring. It passes over `other_keys`, and would fail on their uses.
    """

    clients: tuple[KeptClient, ...]
    other_keys: tuple[SealedKey, ...] = ()


_json = msgspec.json.Encoder()
_copy = msgspec.json.Decoder(_Copy)
_KEPT = span_ms(keys.SNAPSHOT_KEPT)
# More than any version has.
_DIGITS = 19

_Written = tuple[bytes | None, bytes | None]
"""Version and sealed confirmation, as they are written there."""


class RedisSnapshotStore(SnapshotStore):
    """One hash: the configuration and the moment it was confirmed, each under a seal of its own.

    Both seals are bound to the version and the issuer. The moment is sealed too: whoever can write
    here could else put an old configuration back and call it new.
    """

    def __init__(self, client: RedisClient, sealer: Sealer) -> None:
        self._client = client
        self._sealer = sealer

    @override
    async def find(self, issuer: str) -> tuple[Configuration, datetime] | None:
        reply = await self._client.run(scripts.READ_HASH, [keys.snapshot()])
        if reply.status != "ok":
            return None
        held = dict(zip(reply.values[::2], reply.values[1::2], strict=True))
        seal = _Seal(self._sealer, issuer, _number(held.get(b"version")))
        content = seal.open_content(held.get(b"sealed"))
        at = seal.open_moment(held.get(b"confirmed"))
        if content is None or at is None:
            return None
        try:
            return _whole(_copy.decode(content)), at
        except msgspec.ValidationError as error:
            raise NewerFormatError from error

    @override
    async def confirmation(self, issuer: str) -> Confirmation | None:
        return self._legible(issuer, await self._written())

    @override
    async def put(
        self, configuration: Configuration, confirmed_at: datetime, *, in_place_of: int = 0
    ) -> bool:
        version, gives_way = configuration.version, str(in_place_of).encode()
        if in_place_of == ILLEGIBLE:
            written = await self._written()
            if self._legible(configuration.issuer, written) is None:
                gives_way = written[0] or b""
        seal = _Seal(self._sealer, configuration.issuer, version)
        sealed = seal.content(_json.encode(_in_two(configuration)))
        reply = await self._client.run(
            scripts.KEEP_SNAPSHOT,
            [keys.snapshot()],
            [version, sealed, seal.moment(confirmed_at), gives_way, _KEPT],
        )
        return reply.status == "ok"

    @override
    async def confirm(self, confirmation: Confirmation) -> bool:
        seal = _Seal(self._sealer, confirmation.issuer, confirmation.version)
        reply = await self._client.run(
            scripts.CONFIRM_SNAPSHOT,
            [keys.snapshot()],
            [confirmation.version, seal.moment(confirmation.at), _KEPT],
        )
        return reply.status == "ok"

    async def _written(self) -> _Written:
        reply = await self._client.run(scripts.READ_CONFIRMATION, [keys.snapshot()])
        return (reply.values[0], reply.values[1]) if reply.status == "ok" else (None, None)

    def _legible(self, issuer: str, written: _Written) -> Confirmation | None:
        version = _number(written[0])
        at = _Seal(self._sealer, issuer, version).open_moment(written[1])
        return None if at is None else Confirmation(issuer, version, at)


def _in_two(configuration: Configuration) -> _Copy:
    keys = configuration.keys
    signing = [k for k in keys if (k.use, k.algorithm) == (KeyUse.TOKEN, "ES256")]
    oldest = min(signing, key=_seniority, default=None)
    first = {
        key.id for key in keys if key.use is KeyUse.ROOT or (oldest and key.ring == oldest.ring)
    }
    fields = {name: getattr(configuration, name) for name in configuration.__struct_fields__}
    fields["keys"] = tuple(key for key in keys if key.id in first)
    fields["clients"] = tuple(map(KeptClient.of, configuration.clients))
    return _Copy(**fields, other_keys=tuple(key for key in keys if key.id not in first))


def _seniority(key: SealedKey) -> tuple[bool, datetime]:
    # A ring in which somebody signs: the release before would start with it.
    return key.state is not KeyState.ACTIVE, key.created_at


def _whole(copy: _Copy) -> Configuration:
    fields = {name: getattr(copy, name) for name in Configuration.__struct_fields__}
    fields["keys"] = (*copy.keys, *copy.other_keys)
    fields["clients"] = tuple(each.client for each in copy.clients)
    return Configuration(**fields)


class _Seal:
    """The seals of one version in one deployment."""

    def __init__(self, sealer: Sealer, issuer: str, version: int) -> None:
        self._sealer = sealer
        self._place = f"{keys.snapshot()} {version} of {issuer}"

    def content(self, text: bytes) -> bytes:
        return self._sealer.seal(text, context=f"{self._place}: content")

    def open_content(self, sealed: bytes | None) -> bytes | None:
        return self._open(sealed, "content")

    def moment(self, at: datetime) -> bytes:
        return self._sealer.seal(b"%d" % epoch_ms(at), context=f"{self._place}: confirmed")

    def open_moment(self, sealed: bytes | None) -> datetime | None:
        text = self._open(sealed, "confirmed")
        return None if text is None else from_epoch_ms(text)

    def _open(self, sealed: bytes | None, part: str) -> bytes | None:
        try:
            return self._sealer.unseal(sealed or b"", context=f"{self._place}: {part}")
        except UnsealError:
            return None


def _number(text: bytes | None) -> int:
    """Return the version that is written there; what is none is 0, and no seal is of that."""
    return int(text) if text and text.isdigit() and len(text) <= _DIGITS else 0
