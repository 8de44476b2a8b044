"""The schema's version: bringing it up to date, and refusing to work on another one.

These functions block: they run before a server starts, or in a command.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import InterfaceError, OperationalError

import stepup
from stepup.adapters.postgres.engine import driver_url
from stepup.domain.errors import DependencyUnavailableError


class SchemaError(Exception):
    """The database has not the schema that this release works on."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision; nothing happens when it is there already."""
    command.upgrade(configuration(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to a revision; `base` drops everything."""
    command.downgrade(configuration(url), revision)


def current(url: str) -> str | None:
    """Return the revision of the database, None when it has no schema.

    Raises:
        DependencyUnavailableError: If the database does not answer.
    """
    engine = create_engine(driver_url(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except (OperationalError, InterfaceError) as error:
        raise DependencyUnavailableError("the database does not answer") from error


def head() -> str:
    """Return the revision that this release works on.

    Raises:
        SchemaError: If the release was built without its migrations.
    """
    revision = _scripts().get_current_head()
    if revision is None:
        raise SchemaError("this release has no migrations; it was not built completely")
    return revision


def check_schema(url: str) -> None:
    """Return when the database has the schema of this release.

    Raises:
        SchemaError: If it has none, an older or a newer one; the message says what to run.
        DependencyUnavailableError: If the database does not answer.
    """
    revisions = [script.revision for script in _scripts().walk_revisions()]
    compare_revisions(current(url), head(), frozenset(revisions))


def compare_revisions(found: str | None, wanted: str, known: frozenset[str]) -> None:
    """Return when the revision that was found is the one that is wanted.

    Raises:
        SchemaError: If it is not; the message says what to run.
    """
    if found is None:
        raise SchemaError("the database has no schema yet; run `stepup db upgrade`")
    if found not in known:
        raise SchemaError(
            f"the database has schema {found}, newer than this release, which works on {wanted}; "
            "install the release that made it, or go back with its `stepup db downgrade`"
        )
    if found != wanted:
        raise SchemaError(
            f"the database has schema {found}, older than {wanted}, which this release works on; "
            "run `stepup db upgrade`"
        )


def configuration(url: str | None = None) -> Config:
    """Return the configuration that Alembic's commands take."""
    config = Config()
    config.set_main_option("script_location", _script_location().replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(configuration())


def _script_location() -> str:
    package = Path(stepup.__file__).parent
    # The wheel carries them inside the package, a checkout has them beside it.
    if (package / "_migrations").is_dir():
        return "stepup:_migrations"
    return str(package.parent / "migrations")
