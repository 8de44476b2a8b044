import pytest
from click.testing import CliRunner
from sqlalchemy import NullPool, create_engine, text

from stepup.adapters.postgres.engine import driver_url
from stepup.cli.main import stepup
from tests.support.engines import fresh_database

pytestmark = pytest.mark.postgres


@pytest.fixture
def run(postgres_url):
    with fresh_database(postgres_url) as url:
        yield lambda *arguments: CliRunner().invoke(
            stepup, ["db", *arguments], env={"STEPUP_POSTGRES_URL": url}, prog_name="stepup"
        )


def test_upgrades_an_empty_database_and_does_so_again_without_harm(run):
    assert run("current").output == "empty\n"
    upgraded = run("upgrade")
    assert upgraded.exit_code == 0, upgraded.output
    assert run("upgrade").output == upgraded.output
    assert run("check").exit_code == 0
    assert run("current").output == upgraded.output


def test_check_says_what_to_run_when_the_schema_is_missing(run):
    result = run("check")
    assert result.exit_code == 1
    assert "run `stepup db upgrade`" in " ".join(result.output.split())


def test_check_refuses_the_schema_of_a_newer_release_and_says_what_to_do(operate, environ):
    url = driver_url(environ["STEPUP_POSTGRES_URL"])
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    result = operate("db", "check")
    assert result.exit_code == 1
    assert "newer than this release" in result.output
    assert "install the release that made it" in result.output


def test_downgrade_to_base_leaves_nothing(run):
    run("upgrade")
    assert run("downgrade", "base").output == "empty\n"


def test_asks_for_a_database_when_none_is_named():
    result = CliRunner().invoke(stepup, ["db", "current"], env={"STEPUP_POSTGRES_URL": None})
    assert result.exit_code == 2
    assert "STEPUP_POSTGRES_URL" in result.output


@pytest.mark.parametrize("command", ["upgrade", "current", "check"])
def test_says_that_a_url_is_none_and_does_not_repeat_it(command):
    arguments = ["db", command, "--postgres", "hush-nonsense"]
    result = CliRunner().invoke(stepup, arguments, prog_name="stepup")
    assert result.exit_code == 2
    assert "--postgres: expected a URL" in " ".join(result.output.split())
    assert "hush" not in result.output
