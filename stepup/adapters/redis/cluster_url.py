"""`redis+cluster://host:port,host:port`: some nodes of a Cluster, and how to reach all of it."""

from urllib.parse import urlsplit

import msgspec

from stepup.adapters.redis.endpoint import Address, Endpoint, authority

_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_DEFAULT_PORT = 6379


class ClusterUrl(msgspec.Struct, frozen=True):
    """Nodes that are asked first; the others are heard of.

    User, password and options are those of every node. A Cluster has one database, number 0.
    """

    nodes: tuple[Address, ...]
    _before: str
    _behind: str

    @classmethod
    def is_meant_by(cls, url: str) -> bool:
        """Say whether the URL means a Cluster."""
        return urlsplit(url).scheme in _SCHEMES

    @classmethod
    def parse(cls, url: str) -> "ClusterUrl":
        """Read `redis+cluster://` or `rediss+cluster://`.

        Raises:
            ValueError: If it names no node, or a database.
            TypeError: If it has an option that redis-py does not know.
        """
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        if parts.path.strip("/") not in {"", "0"}:
            raise ValueError("a Cluster has no databases but 0")
        login = f"{credentials}@" if credentials else ""
        scheme = _SCHEMES[parts.scheme]
        found = cls(
            nodes=tuple(map(_address, hosts.split(","))),
            _before=f"{scheme}://{login}",
            _behind=f"?{parts.query}".rstrip("?"),
        )
        # A wrong option in the URL must stop the start, not every connection later.
        found.server(("localhost", 1)).new_connection("stepup")
        return found

    @property
    def is_encrypted(self) -> bool:
        """Say whether nodes are reached by TLS, so that names matter."""
        return self._before.startswith("rediss:")

    def server(self, address: Address, *, is_witness: bool = False) -> Endpoint:
        """Return the node at an address."""
        return Endpoint(f"{self._before}{authority(address)}{self._behind}", is_witness=is_witness)

    def __repr__(self) -> str:
        return f"ClusterUrl({', '.join(f'{host}:{port}' for host, port in self.nodes)})"


def _address(host: str) -> Address:
    parts = urlsplit(f"//{host.strip()}")
    if not parts.hostname:
        raise ValueError("expected redis+cluster://host:port,host:port")
    return parts.hostname, parts.port or _DEFAULT_PORT
