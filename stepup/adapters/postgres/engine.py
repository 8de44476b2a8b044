"""The connection settings: how long anything may take, and when a connection is no good any more.

The numbers are those of RELIABILITY section 4. Every one of them is a bound that the server or
the driver keeps; `bounded.py` is for the case that neither does.
"""

from urllib.parse import urlsplit

import msgspec
from sqlalchemy import URL, ExceptionContext, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# A host that swallows packets is given up after these; the driver never waits less than 2 s.
_CONNECTION = {
    "connect_timeout": "2",
    "tcp_user_timeout": "2000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
}
_SERVER = {
    # Below the second that a request may wait, so that the server's own answer comes first.
    "statement_timeout": "800",
    "lock_timeout": "300",
    "idle_in_transaction_session_timeout": "5000",
    "timezone": "UTC",
}
# A read-only server (25006) is an old primary; 57P01 to 57P03 is one that goes or comes; class 08
# is a broken line. psycopg looks only at closed connections, so without this the pool would go on
# handing out connections to a demoted primary for ever.
_GONE = ("25006", "57P01", "57P02", "57P03")
_GONE_CLASS = "08"


def driver_url(url: str) -> URL:
    """Read a PostgreSQL URL and fill in how a lost host is noticed; what the URL says stays.

    Several hosts are written as libpq does (`//user@a:5432,b:5432/database`) or as repeated `host`
    parameters; among them the one that accepts writes is looked for.
    """
    parsed = _with_repeated_hosts(url).set(drivername="postgresql+psycopg")
    defaults = dict(_CONNECTION)
    if isinstance(parsed.query.get("host"), tuple):
        defaults["target_session_attrs"] = "read-write"
    missing = {name: value for name, value in defaults.items() if name not in parsed.query}
    return parsed.update_query_dict(missing)


def make_engine(url: str) -> AsyncEngine:
    """Make the engine that requests share: a small pool, every wait bounded."""
    engine = create_async_engine(
        _with_server_limits(driver_url(url)),
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=5,
        pool_timeout=0.5,
        pool_recycle=600,
        # Rows hold sealed values and digests; an error message is no place for them.
        hide_parameters=True,
        json_serializer=_json_text,
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine.sync_engine, "handle_error", _notice_lost_server)
    return engine


def _with_repeated_hosts(url: str) -> URL:
    authority = urlsplit(url).netloc
    credentials, at, hosts = authority.rpartition("@")
    if "," not in hosts:
        return make_url(url)
    # SQLAlchemy reads the one form only (RELIABILITY section 4).
    hostless = url.replace(f"//{authority}", f"//{credentials}{at}", 1)
    return make_url(hostless).update_query_dict({"host": hosts.split(",")})


def _with_server_limits(url: URL) -> URL:
    limits = " ".join(f"-c {name}={value}" for name, value in _SERVER.items())
    given = url.query.get("options", "")
    # The last setting of a name wins, so what the operator wrote comes last.
    options = " ".join((limits, *([given] if isinstance(given, str) else given)))
    return url.update_query_dict({"options": options.strip()})


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _notice_lost_server(context: ExceptionContext) -> None:
    state = str(getattr(context.original_exception, "sqlstate", None) or "")
    if state in _GONE or state.startswith(_GONE_CLASS):
        context.is_disconnect = True
