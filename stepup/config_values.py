"""What the text of a setting may say: URLs, origins, addresses, keys.

Each check raises ValueError with what was expected, and never repeats a value: it may be a secret.
What can be refused at the start must not fail in the first request.
"""

import binascii
import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

KEY_BYTES = 32
# Asymmetric ones only: with `none` or a shared secret anybody could make a subject token.
SIGNING_ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA")
ALGORITHMS = (
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
)

_KEY = re.compile(r"([1-9][0-9]{0,8}):([A-Za-z0-9+/_-]+={0,2})", re.ASCII)
_POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+unix")
_CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:/]*)(?::\d{1,5})?")
# Android applications answer for their signing key instead of an origin.
_ANDROID_ORIGIN = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]+")


def check_postgres_url(text: str) -> None:
    """Accept what libpq does, with one host or several."""
    scheme, separator, _ = text.partition("://")
    hosts = _split(text).netloc.rpartition("@")[2].split(",")
    if (
        scheme not in _POSTGRES_SCHEMES
        or not separator
        or not all(map(_HOST_AND_PORT.fullmatch, hosts))
    ):
        raise ValueError("expected a URL such as postgresql://user:password@host/database")


def check_redis_url(text: str) -> None:
    """Accept one server, the Sentinels before several, or nodes of a Cluster."""
    parts = _split(text)
    if parts.scheme in _CLUSTER_SCHEMES:
        _check_cluster(parts)
        return
    if "sentinel" in parts.scheme:
        _check_sentinels(parts)
        return
    where = parts.path if "unix" in parts.scheme else _host_of(parts)
    if parts.scheme not in _REDIS_SCHEMES or not where or "," in parts.netloc:
        raise ValueError("expected a URL such as redis://host:6379/0 or unix:///path")


def _check_sentinels(parts: SplitResult) -> None:
    nodes = parts.netloc.rpartition("@")[2].split(",")
    name = parts.path.strip("/").partition("/")[0]
    if not name or not all(_host_of(urlsplit(f"//{node}")) for node in nodes):
        raise ValueError("expected redis+sentinel://host:port,host:port/NAME/DB")


def _check_cluster(parts: SplitResult) -> None:
    nodes = parts.netloc.rpartition("@")[2].split(",")
    if parts.path.strip("/") not in {"", "0"} or not all(
        _host_of(urlsplit(f"//{node}")) for node in nodes
    ):
        raise ValueError("expected redis+cluster://host:port,host:port, without a database")


def check_url(text: str) -> None:
    """Accept `https`, and `http` on a loopback host, where nobody listens in between."""
    parts = _split(text)
    host = _host_of(parts)
    if parts.scheme not in {"http", "https"} or not host or parts.fragment or parts.username:
        raise ValueError("expected a URL such as https://id.example")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("http is accepted for a loopback host only; use https")


def check_issuer(text: str) -> None:
    """Accept an issuer as OpenID Connect Discovery 1.0 section 3 has it: without a query."""
    check_url(text)
    if "?" in text:
        raise ValueError("an issuer has no query")


def check_origin(text: str) -> None:
    """Accept an origin as a browser spells it, or an Android application's."""
    if _ANDROID_ORIGIN.fullmatch(text):
        return
    check_url(text)
    parts = urlsplit(text)
    if text != f"{parts.scheme}://{parts.netloc}".lower():
        raise ValueError("expected an origin such as https://app.example: no path, lower case")


def check_proxy(text: str) -> None:
    """Accept an address or a network; a name could be anybody's by tomorrow."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("expected addresses or networks such as 10.0.0.0/8") from None


def check_algorithms(names: Iterable[str]) -> None:
    """Accept asymmetric signatures only."""
    if not (given := tuple(names)) or not set(given) <= set(ALGORITHMS):
        raise ValueError(f"expected algorithms among {', '.join(ALGORITHMS)}")


def check_signing_algorithms(names: Iterable[str]) -> None:
    """Accept algorithms that we sign with, each once."""
    given = tuple(names)
    if not given or len(set(given)) < len(given) or not set(given) <= set(SIGNING_ALGORITHMS):
        raise ValueError(f"expected each once, among {', '.join(SIGNING_ALGORITHMS)}")


def parse_entries(text: str) -> dict[int, str]:
    """Take `1:<base64>,2:<base64>` apart, of whatever length; no message repeats an entry."""
    entries: dict[int, str] = {}
    for position, entry in enumerate(text.split(","), start=1):
        match = _KEY.fullmatch(entry.strip())
        if match is None:
            raise ValueError(f"entry {position} is not written as number:base64")
        number = int(match[1])
        if number in entries:
            raise ValueError(f"key {number} is given twice")
        entries[number] = match[2]
    return entries


def parse_keys(text: str) -> dict[int, bytes]:
    """Read key-encryption keys written as `1:<base64>,2:<base64>`; no message repeats a key."""
    keys: dict[int, bytes] = {}
    for number, entry in parse_entries(text).items():
        key = _decoded(entry)
        if key is None:
            raise ValueError(f"key {number} is not {KEY_BYTES} bytes of base64")
        keys[number] = key
    return keys


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("expected a URL") from None


def _host_of(parts: SplitResult) -> str:
    try:
        # Reading the port is what checks it.
        return (parts.hostname or "") if parts.port != 0 else ""
    except ValueError:
        return ""


def _decoded(text: str) -> bytes | None:
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None
