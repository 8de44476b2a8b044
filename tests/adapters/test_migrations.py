"""The schema: up, down and up again, the same as the metadata; refused when it is another one."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

import stepup
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.migrate import SchemaError
from stepup.domain.errors import DependencyUnavailableError
from tests.adapters.conftest import libpq_url, write_as_before_the_chain
from tests.contracts.audit import ISSUED
from tests.support.engines import fresh_database

MIGRATIONS = Path(stepup.__file__).parent.parent / "migrations"
RUFF = (sys.executable, "-m", "ruff")
PYPROJECT = str(MIGRATIONS.parent / "pyproject.toml")

pytestmark = pytest.mark.postgres


@pytest.fixture
def empty_url(postgres_url):
    with fresh_database(postgres_url) as url:
        yield url


def tidy(path: str) -> None:
    """Do what a developer does with a generated file: `ruff check --fix` and `ruff format`."""
    for task in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        subprocess.run([*RUFF, *task, "--config", PYPROJECT, path], check=True)


def tables_of(url: str) -> set[str]:
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in found}


def functions_of(url: str) -> list[str]:
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        return [name for (name,) in found]


def stamp(url: str, revision: str) -> None:
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))


def test_goes_up_down_and_up_again(empty_url):
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()

    migrate.downgrade(empty_url, "base")
    assert migrate.current(empty_url) is None
    assert tables_of(empty_url) == {"alembic_version"}
    assert functions_of(empty_url) == []

    migrate.upgrade(empty_url)
    migrate.check_schema(empty_url)


def test_each_revision_goes_down_and_up_again(empty_url):
    migrate.upgrade(empty_url)
    for _ in list(ScriptDirectory.from_config(migrate.configuration()).walk_revisions()):
        migrate.downgrade(empty_url, "-1")
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()


def test_the_tables_are_those_of_the_metadata(empty_url):
    migrate.upgrade(empty_url)
    with psycopg.connect(libpq_url(empty_url)) as connection:
        connection.execute(
            "CREATE TABLE decision_20260131 PARTITION OF decision "
            "FOR VALUES FROM ('2026-01-31') TO ('2026-02-01')"
        )
    # Raises when a migration was forgotten; what the service makes itself is none of them.
    command.check(migrate.configuration(empty_url))


@pytest.mark.parametrize("changed", [False, True], ids=["empty", "with-an-operation"])
def test_the_template_writes_what_the_linter_accepts(empty_url, tmp_path, changed):
    migrate.upgrade(empty_url)
    if changed:
        with psycopg.connect(libpq_url(empty_url)) as connection:
            connection.execute("ALTER TABLE client DROP COLUMN updated_at")
    config = migrate.configuration(empty_url)
    config.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}:{tmp_path}")
    config.set_main_option("path_separator", ":")
    script = command.revision(
        config, "add a column", autogenerate=changed, rev_id="9999", version_path=str(tmp_path)
    )
    tidy(script.path)

    lint = [*RUFF, "check", "--config", PYPROJECT, "--ignore", "INP001", script.path]
    subprocess.run(lint, check=True)
    assert ("add_column" in Path(script.path).read_text()) is changed


def test_an_upgrade_twice_is_harmless(empty_url):
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    migrate.check_schema(empty_url)


def test_a_missing_schema_is_refused_with_the_command_to_run(empty_url):
    with pytest.raises(SchemaError, match=r"no schema.*`stepup db upgrade`"):
        migrate.check_schema(empty_url)


def test_a_newer_schema_is_refused(empty_url):
    migrate.upgrade(empty_url)
    stamp(empty_url, "9999")
    with pytest.raises(SchemaError, match="9999, newer than this release"):
        migrate.check_schema(empty_url)


def test_an_older_schema_is_refused_with_the_command_to_run():
    known = frozenset({"0001", "0002"})
    migrate.compare_revisions("0002", "0002", known)
    with pytest.raises(SchemaError, match=r"older than 0002.*`stepup db upgrade`"):
        migrate.compare_revisions("0001", "0002", known)


def test_a_database_that_is_away_is_no_missing_schema(tmp_path):
    with pytest.raises(DependencyUnavailableError):
        migrate.check_schema(f"postgresql:///stepup?host={tmp_path}")


def test_waits_for_its_turn_while_another_upgrades(empty_url):
    with psycopg.connect(libpq_url(empty_url), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7305400)")
        with ThreadPoolExecutor() as threads:
            upgrade = threads.submit(migrate.upgrade, empty_url)
            while not other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall():
                assert not upgrade.done()
            assert tables_of(empty_url) <= {"alembic_version"}
            other.execute("SELECT pg_advisory_unlock(7305400)")
            upgrade.result(timeout=10)
    migrate.check_schema(empty_url)


@pytest.fixture
def audit_log(empty_url):
    """A log with one entry that has no link, as the release before writes it."""
    migrate.upgrade(empty_url)
    with psycopg.connect(libpq_url(empty_url), autocommit=True) as connection:
        write_as_before_the_chain(connection, "1-0", ISSUED)
        write_as_before_the_chain(connection, "1-0", ISSUED)
        yield connection


def test_the_release_before_writes_into_the_new_schema(audit_log):
    found = audit_log.execute("SELECT entry_id, position, hash FROM audit_event").fetchall()
    assert found == [("1-0", None, None)]


def test_entries_from_before_the_chain_stay_when_it_comes_and_when_it_goes(empty_url):
    migrate.upgrade(empty_url, "0001")
    with psycopg.connect(libpq_url(empty_url), autocommit=True) as connection:
        write_as_before_the_chain(connection, "1-0", ISSUED)
        migrate.upgrade(empty_url)
        write_as_before_the_chain(connection, "1-1", ISSUED)
        migrate.downgrade(empty_url, "0001")
        found = connection.execute("SELECT entry_id FROM audit_event ORDER BY seq").fetchall()
    assert found == [("1-0",), ("1-1",)]


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET kind = 'x'",
        "UPDATE audit_event SET kind = 'x', position = 1, previous = 'x', hash = 'x'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
    ],
)
def test_the_database_refuses_to_change_the_audit_log(audit_log, statement, role):
    audit_log.execute(f"SET session_replication_role = {role}")
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        audit_log.execute(statement)


def test_a_link_is_given_whole_and_once(audit_log):
    for none in (
        "UPDATE audit_event SET position = 1",
        "UPDATE audit_event SET position = 0, previous = 'a', hash = 'b'",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            audit_log.execute(none)
    audit_log.execute("UPDATE audit_event SET position = 1, previous = 'a', hash = 'b'")
    with pytest.raises(psycopg.errors.RestrictViolation):
        audit_log.execute("UPDATE audit_event SET position = 2, previous = 'a', hash = 'b'")
    with pytest.raises(psycopg.errors.RestrictViolation):
        audit_log.execute("UPDATE audit_event SET position = NULL, previous = NULL, hash = NULL")
