"""`deploy/postgresql/stepup.conf`: a real server takes every line of it."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from tests.support.engines import temporary_directory

FILE = Path(__file__).parents[2] / "deploy" / "postgresql" / "stepup.conf"

pytestmark = pytest.mark.postgres


def settings() -> dict[str, str]:
    lines = re.findall(r"^(\w+) = (.+)$", FILE.read_text(), re.MULTILINE)
    return {name: value.strip("'") for name, value in lines}


def test_a_server_takes_every_setting():
    # Without the standby, which is not there, every commit would wait for it.
    wanted = settings() | {"synchronous_standby_names": ""}
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, wanted)
        try:
            socket = make_url(server.url).query["host"]
            with psycopg.connect(host=str(socket), user="stepup", dbname="stepup") as connection:
                rows = connection.execute(
                    "SELECT name, source FROM pg_settings WHERE name = ANY(%s)", (list(wanted),)
                ).fetchall()
        finally:
            server.stop()
    assert {name for name, _ in rows} == set(wanted)
    assert {source for _, source in rows} == {"command line"}
