"""Look for secrets where nobody may read them: in the engines and in the log.

Files are read as they lie there, and contents once more as the engines tell them: a file may be
compressed.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psycopg
import psycopg.types.json
import redis
from psycopg import sql

from tests.support.service import RunningService


def readable_in_engines(service: RunningService, secrets: Mapping[str, bytes]) -> set[str]:
    """Return the secrets that stand in a file of an embedded engine, by their names."""
    checkpoint(service.ready["engines"]["postgres"])
    texts = (path.read_bytes() for path in engine_files(service))
    return {name for text in texts for name in readable_in(text, secrets)}


def readable_in_log(service: RunningService, secrets: Mapping[str, bytes]) -> set[str]:
    """Return the secrets that stand in the service's log, by their names."""
    return readable_in(service.log.read_bytes(), secrets)


def readable_in(text: bytes, secrets: Mapping[str, bytes]) -> set[str]:
    return {name for name, secret in secrets.items() if secret in text}


def typed_codes_in(text: bytes, codes: Iterable[str]) -> set[str]:
    """Return the codes that stand there as numbers of their own, not inside a longer one."""
    return {code for code in codes if re.search(rb"(?<!\d)%b(?!\d)" % code.encode(), text)}


def forms_of(secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return each secret in every form that somebody might have written it in."""
    written = {
        "raw": bytes,
        "hex": lambda secret: secret.hex().encode(),
        "HEX": lambda secret: secret.hex().upper().encode(),
        "base32": lambda secret: base64.b32encode(secret).rstrip(b"="),
        "base64": lambda secret: base64.b64encode(secret).rstrip(b"="),
        "base64url": lambda secret: base64.urlsafe_b64encode(secret).rstrip(b"="),
    }
    return {
        f"{name} as {form}": write(secret)
        for name, secret in secrets.items()
        for form, write in written.items()
    }


def engine_files(service: RunningService, *engines: str) -> Iterator[Path]:
    """Yield everything that the engines have written: data, logs, write-ahead logs."""
    for engine in engines or ("postgres", "redis", "logs"):
        yield from files_below(service.log.parent / "data" / engine)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file; a socket is none."""
    yield from (path for path in folder.rglob("*") if path.is_file())


def checkpoint(postgres_url: str) -> None:
    """Have PostgreSQL write what it has."""
    with psycopg.connect(_libpq(postgres_url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def dump_of_postgres(url: str) -> bytes:
    """Return every row of every table, as text."""
    every = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    with psycopg.connect(_libpq(url)) as connection:
        lines = []
        for (table,) in connection.execute(every).fetchall():
            rows = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
            lines += [f"{table}: {row}" for (row,) in connection.execute(rows)]
    return "\n".join(lines).encode()


def dump_of_redis(url: str) -> bytes:
    """Return every key with what it holds."""
    client = redis.Redis.from_url(url)
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"stream": client.xrange,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    found = [(key, read[client.type(key)](key)) for key in sorted(client.scan_iter())]
    client.close()
    return b"\n".join(key + b": " + b" ".join(_atoms(value)) for key, value in found)


def plant(postgres_url: str, redis_url: str, secret: str) -> None:
    """Write a secret down in both engines, as a careless release would."""
    with psycopg.connect(_libpq(postgres_url)) as connection:
        values = ["careless", psycopg.types.json.Jsonb({"note": secret})]
        connection.execute("INSERT INTO client (client_id, data) VALUES (%s, %s)", values)
    client = redis.Redis.from_url(redis_url)
    client.hset("su:{careless}", "note", secret)
    client.close()


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _atoms(value: object) -> Iterator[bytes]:
    """Yield the byte strings of a reply, whatever it is made of."""
    match value:
        case bytes():
            yield value
        case dict():
            for pair in value.items():
                yield from _atoms(pair)
        case list() | tuple() | set():
            for part in value:
                yield from _atoms(part)
        case None:
            return
        case _:
            yield str(value).encode()
