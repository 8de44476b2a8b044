"""Connection settings: what is filled in, and what an operator wrote stays."""

import pytest

from stepup.adapters.postgres.engine import driver_url, make_engine


def arguments(url: str) -> dict[str, str]:
    engine = make_engine(url)
    return engine.dialect.create_connect_args(engine.url)[1]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:s%2Ccret@a:5432,b:5433/stepup",
        "postgresql+psycopg://app:s%2Ccret@/stepup?host=a:5432&host=b:5433",
    ],
    ids=["libpq-form", "repeated-form"],
)
def test_several_hosts_are_tried_for_the_one_that_accepts_writes(url):
    given = arguments(url)

    assert (given["host"], given["port"]) == ("a,b", "5432,5433")
    assert (given["user"], given["password"]) == ("app", "s,cret")
    assert given["target_session_attrs"] == "read-write"


def test_several_hosts_without_anything_else():
    assert arguments("postgresql://a,b/stepup")["host"] == "a,b"


def test_a_single_host_may_be_anything():
    given = arguments("postgresql://app@db.example/stepup?sslmode=verify-full")

    assert given["sslmode"] == "verify-full"
    assert "target_session_attrs" not in given
    assert driver_url("postgres:///stepup?host=/run/postgresql").query["host"] == "/run/postgresql"


def test_every_wait_of_the_driver_and_the_server_is_bounded():
    given = arguments("postgresql:///stepup")

    assert (given["connect_timeout"], given["tcp_user_timeout"]) == ("2", "2000")
    for bound in ("statement_timeout=800", "lock_timeout=300"):
        assert bound in given["options"]


def test_what_the_operator_wrote_wins():
    given = arguments("postgresql:///s?connect_timeout=5&options=-c%20statement_timeout%3D5000")

    assert given["connect_timeout"] == "5"
    assert given["options"].endswith("-c statement_timeout=5000")


def test_a_password_is_not_shown():
    assert "s3cret" not in repr(driver_url("postgresql://app:s3cret@a,b/stepup"))
