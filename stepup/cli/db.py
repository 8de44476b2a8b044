"""`stepup db`: the schema of the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rich_click as click

from stepup.adapters.postgres import migrate
from stepup.cli.settings import config_option, read_settings
from stepup.config_values import check_postgres_url
from stepup.domain.errors import DependencyUnavailableError

_Postgres = Callable[..., None]


def _database_options(command: _Postgres) -> _Postgres:
    url = click.option("--postgres", metavar="URL", help="Instead of STEPUP_POSTGRES_URL.")
    return url(config_option(command))


@click.group()
def db() -> None:
    """Bring the database's schema up to date, or look at it."""


@db.command()
@_database_options
@click.argument("revision", default="head")
def upgrade(postgres: str | None, config_file: Path | None, revision: str) -> None:
    """Apply all migrations, or those up to REVISION; harmless to repeat."""
    url = _url(postgres, config_file)
    with _explained():
        migrate.upgrade(url, revision)
        click.echo(migrate.current(url))


@db.command()
@_database_options
@click.argument("revision")
def downgrade(postgres: str | None, config_file: Path | None, revision: str) -> None:
    """Go back to REVISION, or by steps (-1)."""
    url = _url(postgres, config_file)
    with _explained():
        migrate.downgrade(url, revision)
        click.echo(migrate.current(url) or "empty")


@db.command()
@_database_options
def current(postgres: str | None, config_file: Path | None) -> None:
    """Print the revision of the database."""
    with _explained():
        click.echo(migrate.current(_url(postgres, config_file)) or "empty")


@db.command()
@_database_options
def check(postgres: str | None, config_file: Path | None) -> None:
    """Exit with 0 when the schema is the one that this release works on."""
    require_schema(_url(postgres, config_file))
    click.echo(migrate.head())


def apply_migrations(url: str) -> None:
    """Bring a database up to date, or end the command with one line."""
    with _explained():
        migrate.upgrade(url)


def require_schema(url: str) -> None:
    """End the command with one line unless the schema is the right one."""
    with _explained():
        migrate.check_schema(url)


def has_schema(url: str) -> bool:
    """Say whether the schema is the right one: False when nobody can say at the moment.

    Ends the command with one line when it is another one.
    """
    try:
        migrate.check_schema(url)
    except DependencyUnavailableError:
        return False
    except migrate.SchemaError as error:
        raise click.ClickException(str(error)) from error
    return True


def schema_finding(url: str) -> str | None:
    """Return what is wrong with the schema, None when nothing is."""
    try:
        migrate.check_schema(url)
    except (migrate.SchemaError, DependencyUnavailableError) as error:
        return str(error)
    return None


def _url(postgres: str | None, config_file: Path | None) -> str:
    if postgres is not None:
        return _checked(postgres, "--postgres")
    given = read_settings(config_file, ()).get("postgres_url")
    if given is None:
        raise click.UsageError("set STEPUP_POSTGRES_URL, or give --postgres URL")
    return _checked(given.value.reveal(), given.source)


def _checked(url: str, source: str) -> str:
    try:
        check_postgres_url(url)
    except ValueError as error:
        raise click.UsageError(f"{source}: {error}") from None
    return url


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (migrate.SchemaError, DependencyUnavailableError) as error:
        raise click.ClickException(str(error)) from error
