import json
import logging

import structlog

from stepup import log


def test_writes_one_json_object_per_line(capsys):
    with configured():
        structlog.get_logger().info("request", route="/livez", code_digest=b"\x01", status=200)
        logging.getLogger("library").warning("odd: %s", "thing")
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert ours["event"] == "request"
    assert ours["level"] == "info"
    assert ours["status"] == 200
    assert ours["at"].endswith("Z")
    assert theirs["event"] == "odd: thing"


def test_hides_secrets_by_their_names_and_by_their_form(capsys):
    jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln"
    handle = f"r1.{'A' * 22}.{'B' * 43}"
    with configured():
        structlog.get_logger().warning(
            "refused",
            code="123456",
            headers={"Authorization": "Basic aHVzaA==", "Set-Cookie": "hush", "accept": "*/*"},
            detail=f"cannot read {jwt} of {handle}",
            url="postgresql://stepup:hush@db/stepup",
            tries=[{"client_secret": "hush"}],
        )
    line = capsys.readouterr().err
    for secret in ("123456", "aHVzaA", "hush", jwt, handle):
        assert secret not in line
    assert "*/*" in line


def test_says_nothing_below_the_level(capsys):
    with configured("warning"):
        structlog.get_logger().info("quiet")
    assert capsys.readouterr().err == ""


class configured:  # noqa: N801  reads as a verb in a with statement
    """Configure logging onto the captured standard error, and put everything back."""

    def __init__(self, level: str = "info") -> None:
        self.level = level

    def __enter__(self) -> None:
        self.handlers, self.root_level = logging.root.handlers, logging.root.level
        log.configure_logging(self.level)

    def __exit__(self, *_: object) -> None:
        structlog.reset_defaults()
        logging.root.handlers = self.handlers
        logging.root.setLevel(self.root_level)


def test_what_a_command_logs_does_not_mix_with_what_it_prints(capsys):
    structlog.reset_defaults()
    try:
        log.log_for_operator()
        structlog.get_logger().error("lost", url="redis://u:pw@host/0")
    finally:
        structlog.reset_defaults()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "lost" in printed.err
    assert "pw" not in printed.err
