"""Keys of pipelines: make one, take it away, and know it again at the gate."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from stepup.crypto import api_keys, digests
from stepup.domain.admin_errors import TokenRefusedError
from stepup.domain.administrator import SCOPES_OF_KEYS, Administrator, ApiKey, Scope
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ApiKeyId
from stepup.domain.keyring import Keyring
from stepup.ports import Ports

# A pipeline may call us a thousand times in a run; when it did is worth one write of them.
_NOTED_EVERY = timedelta(minutes=5)


class MadeKey(NamedTuple):
    """A new key, and its text, which nobody can show again."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"MadeKey({self.key})"


async def create(
    ports: Ports,
    keyring: Keyring,
    name: str,
    scopes: Iterable[Scope],
    *,
    expires_at: datetime | None,
    by: str,
) -> MadeKey:
    """Make a key for a pipeline.

    Raises:
        InvalidRequestError: If it could do nothing, or what no key may do.
        ApiKeyExistsError: If there is one of this name.
    """
    wanted = frozenset(scopes)
    if not wanted or not wanted <= SCOPES_OF_KEYS:
        raise InvalidRequestError("A key has scopes, and approves nothing.")
    now = ports.clock.now()
    key_id = ApiKeyId(ports.entropy.bytes(api_keys.IDENTIFIER_BYTES).hex())
    secret = ports.entropy.bytes(api_keys.SECRET_BYTES)
    key = ApiKey(
        id=key_id,
        name=name,
        digest=api_keys.digest(keyring, key_id, secret),
        scopes=wanted,
        created_by=by,
        created_at=now,
        expires_at=expires_at,
    )
    told: dict[str, str | int | bool | None] = {
        "key": key_id,
        "name": name,
        "scopes": " ".join(sorted(wanted)),
        "by": by,
    }
    async with ports.database.transaction() as stores:
        await stores.api_keys.add(key)
        await stores.audit.append(
            f"api-key-{key_id}", AuditEvent(kind=AuditKind.API_KEY_CREATED, at=now, details=told)
        )
    return MadeKey(key, api_keys.write(key_id, secret))


async def revoke(ports: Ports, name_or_id: str, by: str) -> ApiKey | None:
    """Take a key away, at once and for good; None when there is no such key any more."""
    now = ports.clock.now()
    async with ports.database.transaction() as stores:
        living = [key for key in await stores.api_keys.all() if key.revoked_at is None]
        found = next((key for key in living if name_or_id in {key.id, key.name}), None)
        if found is None or not await stores.api_keys.revoke(found.id, now):
            return None
        await stores.audit.append(
            f"api-key-{found.id}-revoked",
            AuditEvent(kind=AuditKind.API_KEY_REVOKED, at=now, details={"key": found.id, "by": by}),
        )
    return found


async def list_keys(ports: Ports) -> Sequence[ApiKey]:
    """Return every key, revoked ones too, oldest first."""
    async with ports.database.transaction() as stores:
        return await stores.api_keys.all()


async def find_pipeline(ports: Ports, text: str) -> Administrator:
    """Return the pipeline whose key this is.

    It is read anew every time: a revoked key opens nothing a moment later.

    Raises:
        TokenRefusedError: If it is nobody's, was revoked, or has expired; nothing says which.
    """
    presented = api_keys.read(text)
    if presented is None:
        raise TokenRefusedError
    now = ports.clock.now()
    digest = api_keys.digest(ports.snapshot.keyring, presented.id, presented.secret)
    async with ports.database.transaction() as stores:
        key = await stores.api_keys.find(presented.id)
        if key is None or not digests.equal(digest, key.digest) or not key.is_usable(now):
            raise TokenRefusedError
        if key.last_used_at is None or now - key.last_used_at >= _NOTED_EVERY:
            await stores.api_keys.note_use(key.id, now)
    return key.administrator
