"""What Alembic runs around the migrations.

The database comes in as `Config.attributes["connection"]` or `["url"]`; a developer who calls
`alembic` by hand passes `-x url=postgresql://...`.
"""

import re

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text

from stepup.adapters.postgres.engine import driver_url
from stepup.adapters.postgres.tables import metadata

# Any constant that is ours alone. Two who upgrade at once take turns; the second finds nothing
# left to do.
ADVISORY_LOCK = 7_305_400
# What the service makes and drops while it runs: `decision_20260131`, `decision_other`.
PARTITION = re.compile(r"decision_(\d{8}|other)\Z")


def is_ours(_object: object, name: str | None, kind: str, reflected: bool, _to: object) -> bool:
    """Say whether the metadata knows of it: of partitions it knows the table they belong to."""
    return not (kind == "table" and reflected and name and PARTITION.match(name))


def migrate(connection: Connection) -> None:
    """Run the migrations that were asked for, all in one transaction."""
    context.configure(connection=connection, target_metadata=metadata, include_object=is_ours)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        # A migration that waits for a table makes everybody behind it wait: better to fail and to
        # be started again.
        connection.execute(text("SET LOCAL lock_timeout = '4s'"))
        context.run_migrations()


def run() -> None:
    """Migrate over the given connection, or over one of our own."""
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    arguments = context.get_x_argument(as_dictionary=True)
    url = context.config.attributes.get("url") or arguments["url"]
    engine = create_engine(driver_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        migrate(connection)


run()
