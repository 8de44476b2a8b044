"""Which node of a Cluster serves which slot, merged from what several nodes say.

redis-py's cluster client believes the first node that answers. A primary that was deposed answers
too, so here every claim is weighed by the epoch of the configuration that it comes from.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot

from stepup.adapters.redis.endpoint import Address


class Claim(NamedTuple):
    """A node says that it serves a range of slots, both ends included."""

    epoch: int
    node: str
    first: int
    last: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A node as one of the nodes describes it."""

    id: str
    address: Address
    epoch: int
    replica_of: str | None
    claims: tuple[Claim, ...]


class ClusterMap(msgspec.Struct, frozen=True):
    """The owners of all slots; a slot that nobody serves has none."""

    epoch: int
    claims: frozenset[Claim]
    addresses: dict[str, Address]
    replicas: dict[str, int]
    _primary_of: dict[str, str | None]
    _owners: list[str | None]

    @classmethod
    def merged(cls, views: Sequence[Sequence[Member]]) -> "ClusterMap":
        """Take for each slot the claim with the newest configuration that anybody knows."""
        members = sorted((each for view in views for each in view), key=lambda one: one.epoch)
        claims = frozenset(claim for member in members for claim in member.claims)
        owners: list[str | None] = [None] * SLOTS
        for claim in sorted(claims):
            owners[claim.first : claim.last + 1] = [claim.node] * (claim.last + 1 - claim.first)
        return cls(
            epoch=max((claim.epoch for claim in claims), default=-1),
            claims=claims,
            addresses={member.id: member.address for member in members},
            replicas=_replicas(views),
            _primary_of={member.id: member.replica_of for member in members},
            _owners=owners,
        )

    def owner(self, key: str) -> Address | None:
        """Return the primary of a key."""
        node = self._owners[key_slot(key.encode())]
        return None if node is None else self.addresses[node]

    def primaries(self) -> frozenset[Address]:
        """Return every node that serves a slot."""
        owners = {node for node in set(self._owners) if node is not None}
        return frozenset(self.addresses[node] for node in owners)

    def others(self) -> frozenset[Address]:
        """Return every node that is a replica."""
        replicas = (node for node, primary in self._primary_of.items() if primary is not None)
        return frozenset(self.addresses[node] for node in replicas)

    def replicas_of(self, address: Address) -> int | None:
        """Return how many replicas a node has, those included that are away; None if unknown."""
        ids = [node for node, at in self.addresses.items() if at == address]
        return max((self.replicas.get(node, 0) for node in ids), default=None)


def read_nodes(text: str, asked: Address, *, by_name: bool) -> tuple[Member, ...]:
    """Read the reply to `CLUSTER NODES` of the node that was asked at an address."""
    return tuple(_members(text.splitlines(), asked, by_name=by_name))


def _members(lines: Iterable[str], asked: Address, *, by_name: bool) -> Iterator[Member]:
    for line in lines:
        node, at, flags, primary, _, _, epoch, _, *slots = line.split(" ")
        if {"handshake", "noaddr"} & set(flags.split(",")):
            continue
        yield Member(
            id=node,
            address=_address(at, asked, by_name=by_name),
            epoch=int(epoch),
            replica_of=None if primary == "-" else primary,
            claims=tuple(_claims(int(epoch), node, slots)),
        )


def _address(at: str, asked: Address, *, by_name: bool) -> Address:
    # ip:port@bus port, and since 7.0 ",hostname" and more.
    where, _, rest = at.partition("@")
    ip, _, port = where.rpartition(":")
    name = rest.split(",")[1] if "," in rest else ""
    # A node may not know its own address; it was reached at this one.
    return ((name if by_name else "") or ip or asked[0], int(port))


def _claims(epoch: int, node: str, slots: Iterable[str]) -> Iterator[Claim]:
    for given in slots:
        # [1-<-id] and [1->-id] are slots on their way, which ASK and TRYAGAIN speak of.
        if not given.startswith("["):
            first, _, last = given.partition("-")
            yield Claim(epoch, node, int(first), int(last or first))


def _replicas(views: Sequence[Sequence[Member]]) -> dict[str, int]:
    """Count for each primary the most replicas that any node knows of."""
    most: Counter[str] = Counter()
    for view in views:
        most |= Counter(each.replica_of for each in view if each.replica_of is not None)
    return dict(most)
