"""The Token Status List: statuses packed into bytes, compressed, and signed.

draft-ietf-oauth-status-list-20, sections 4 and 5.1.
"""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from stepup.crypto import digests, own_jwts
from stepup.crypto.claims import seconds
from stepup.domain.keyring import SigningKey

STATUS_LIST_TYP = "statuslist+jwt"
# Section 4.2 recommends the highest.
_LEVEL = 9
_BITS = frozenset({1, 2, 4, 8})


class PackedStatuses:
    """Statuses of 1, 2, 4 or 8 bits, the first in the lowest bits of the first byte (4.1)."""

    def __init__(self, bits: int, places: int) -> None:
        """Make room for statuses, all 0.

        Raises:
            ValueError: If the draft knows no such width, or the last byte would not be full.
        """
        if bits not in _BITS or places * bits % 8:
            raise ValueError("statuses have 1, 2, 4 or 8 bits and fill whole bytes")
        self.bits = bits
        self._data = bytearray(places * bits // 8)

    @classmethod
    def of(cls, bits: int, statuses: Iterable[int]) -> "PackedStatuses":
        """Pack statuses in their order."""
        listed = list(statuses)
        packed = cls(bits, len(listed))
        for place, status in enumerate(listed):
            packed[place] = status
        return packed

    @classmethod
    def read(cls, bits: int, lst: str) -> "PackedStatuses":
        """Read what `compressed` wrote: a list of our own, or one of a published example.

        Raises:
            ValueError: If it is no such list.
        """
        packed = cls(bits, 0)
        try:
            packed._data = bytearray(zlib.decompress(digests.decode(lst)))
        except zlib.error:
            raise ValueError("not compressed as zlib does") from None
        return packed

    def __len__(self) -> int:
        return len(self._data) * 8 // self.bits

    def __getitem__(self, place: int) -> int:
        byte, shift = self._at(place)
        return self._data[byte] >> shift & self._mask

    def __setitem__(self, place: int, status: int) -> None:
        if not 0 <= status <= self._mask:
            raise ValueError("the status has more bits than the list")
        byte, shift = self._at(place)
        self._data[byte] = self._data[byte] & ~(self._mask << shift) & 0xFF | status << shift

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    @property
    def _mask(self) -> int:
        return (1 << self.bits) - 1

    def _at(self, place: int) -> tuple[int, int]:
        if not 0 <= place < len(self):
            raise IndexError("the list has no such place")
        byte, bit = divmod(place * self.bits, 8)
        return byte, bit


def compressed(data: bytes) -> str:
    """Compress packed statuses as the member `lst` has them (4.2)."""
    return digests.encode(zlib.compress(data, _LEVEL))


class StatusListClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says of itself beside its statuses (5.1)."""

    uri: str
    aggregation_uri: str
    bits: int
    issued_at: datetime
    lifetime: timedelta
    ttl: timedelta


def sign_status_list(claims: StatusListClaims, lst: str, key: SigningKey) -> str:
    """Sign a list that was compressed before."""
    issued_at = seconds(claims.issued_at)
    payload = {
        "sub": claims.uri,
        "iat": issued_at,
        "exp": issued_at + int(claims.lifetime.total_seconds()),
        "ttl": int(claims.ttl.total_seconds()),
        "status_list": {
            "bits": claims.bits,
            "lst": lst,
            "aggregation_uri": claims.aggregation_uri,
        },
    }
    return own_jwts.sign(msgspec.json.encode(payload), key, typ=STATUS_LIST_TYP)
