"""`redis+sentinel://host:port,host:port/NAME/DB`: the Sentinels, and how to reach what they name."""

from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import msgspec

from stepup.adapters.redis.endpoint import Address, Endpoint, authority

_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")
_DEFAULT_PORT = 26379


class SentinelUrl(msgspec.Struct, frozen=True):
    """A set of Sentinels and the name under which they watch our primary.

    User, password, database and options are those of the servers; `sentinel_username` and
    `sentinel_password` among the options are those of the Sentinels.
    """

    sentinels: tuple[Endpoint, ...]
    name: str
    _before: str
    _behind: str

    @classmethod
    def is_meant_by(cls, url: str) -> bool:
        """Say whether the URL means a set behind Sentinels."""
        return urlsplit(url).scheme in _SCHEMES

    @classmethod
    def parse(cls, url: str) -> "SentinelUrl":
        """Read `redis+sentinel://` or `rediss+sentinel://`.

        Raises:
            ValueError: If it names no Sentinel or no primary.
            TypeError: If it has an option that redis-py does not know.
        """
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        name, _, database = parts.path.strip("/").partition("/")
        if not name or not hosts:
            raise ValueError("expected redis+sentinel://host:port,host:port/NAME/DB")
        scheme = _SCHEMES[parts.scheme]
        options = dict(parse_qsl(parts.query))
        own = {key: options.pop(key) for key in _SENTINEL_OPTIONS if key in options}
        query = urlencode({key.removeprefix("sentinel_"): value for key, value in own.items()})
        login = f"{credentials}@" if credentials else ""
        found = cls(
            sentinels=tuple(_sentinel(scheme, host, query) for host in hosts.split(",")),
            name=unquote(name),
            _before=f"{scheme}://{login}",
            _behind=f"/{database}?{urlencode(options)}".rstrip("?"),
        )
        # A wrong option in the URL must stop the start, not every connection later.
        for endpoint in (*found.sentinels, found.server(("localhost", 1))):
            endpoint.new_connection("stepup")
        return found

    def server(self, address: Address, epoch: int | None = None) -> Endpoint:
        """Return the server at an address that a Sentinel named, in a configuration of its own."""
        return Endpoint(f"{self._before}{authority(address)}{self._behind}", epoch=epoch)

    def __repr__(self) -> str:
        return f"SentinelUrl({self.name} at {', '.join(map(str, self.sentinels))})"


def _sentinel(scheme: str, host: str, query: str) -> Endpoint:
    parts: SplitResult = urlsplit(f"//{host.strip()}")
    if not parts.hostname:
        raise ValueError("a Sentinel has no host")
    at = authority((parts.hostname, parts.port or _DEFAULT_PORT))
    return Endpoint(f"{scheme}://{at}?{query}".rstrip("?"), is_witness=True)
