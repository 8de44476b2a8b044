"""The chain of the audit log: each entry's hash covers the entry and the hash before it.

The hash is keyed (HMAC-SHA256) under a key of its own, derived from the root secret. Without a key
whoever can write to the database could change an entry and compute all hashes after it anew.
"""

from collections.abc import Iterable
from datetime import UTC

import msgspec

from stepup.crypto import digests
from stepup.domain.audit import AuditEvent, AuditRecord, ChainLink

_canonical = msgspec.json.Encoder(order="sorted")


class ChainHead(msgspec.Struct, frozen=True):
    """The end of a chain. Kept somewhere else, it proves that nothing before it is gone."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> "ChainHead":
        """Read what `str` wrote.

        Raises:
            ValueError: If it is nothing like that.
        """
        position, _, digest = text.partition(":")
        head = cls(int(position), bytes.fromhex(digest))
        if head.position < 0 or len(head.hash) != digests.DIGEST_BYTES:
            raise ValueError("not a position and a SHA-256 digest")
        return head


START = ChainHead(0, bytes(digests.DIGEST_BYTES))


def chain_key(root: bytes) -> bytes:
    """Derive the key of the chain from the root secret."""
    return digests.derive(root, "audit-chain")


def links(
    key: bytes, head: ChainHead, entries: Iterable[tuple[str, AuditEvent | AuditRecord]]
) -> list[ChainLink]:
    """Chain entries to a head, in order."""
    made: list[ChainLink] = []
    for entry_id, event in entries:
        digest = _hash(key, head.hash, entry_id, event)
        made.append(ChainLink(position=head.position + 1, previous=head.hash, hash=digest))
        head = ChainHead(head.position + 1, digest)
    return made


def is_authentic(key: bytes, record: AuditRecord, link: ChainLink) -> bool:
    """Say whether this link was made for this entry by somebody who has the key."""
    return digests.equal(_hash(key, link.previous, record.entry_id, record), link.hash)


def _hash(key: bytes, previous: bytes, entry_id: str, event: AuditEvent | AuditRecord) -> bytes:
    # The position is not in it: it is the number of hashes before this one.
    content = {
        "entry_id": entry_id,
        "kind": event.kind,
        "at": event.at.astimezone(UTC),
        "client_id": event.client_id,
        "subject_id": event.subject_id,
        "action": event.action,
        "challenge_id": event.challenge_id,
        "details": event.details,
    }
    return digests.keyed_digest(key, previous + _canonical.encode(content))
