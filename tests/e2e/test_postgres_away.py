"""PostgreSQL is away while instances start, and while people step up: nothing is lost by it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest
import redis

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.redis import keys
from stepup.usecases.policies import development_document
from tests.e2e.api import Api, Pending, Subject, is_honest_refusal
from tests.e2e.cluster import RECOVERS_WITHIN, StoppableEngine
from tests.e2e.production import Deployment, Serving
from tests.support.engines import FAST_REDIS

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

ADMIN_TOKEN = "the-token-of-the-administrator"
CLIENT = ("bank", "the-secret-of-the-bank-of-full-entropy")
CLIENTS = f"""
- client_id: {CLIENT[0]}
  client_secret: {CLIENT[1]}
  roles: [pep, rp, rs]
  audiences: [bank-api]
  asserts_subject: true
"""


@dataclass
class BankAt:
    """One instance, as the bank calls it."""

    origin: str
    admin: dict[str, str]

    def client(self) -> tuple[str, str]:
        return CLIENT


class Away:
    """A deployment whose engines can be stopped one by one."""

    def __init__(self, folder: Path, postgres: StoppableEngine, redis: StoppableEngine) -> None:
        self.postgres = postgres
        self.redis = redis
        self.deployment = Deployment(
            postgres.url,
            redis.url,
            folder,
            STEPUP_DEVELOPMENT="true",
            STEPUP_ADMIN_TOKEN=ADMIN_TOKEN,
        )

    def prepare(self) -> None:
        """Give it a schema, the bank's policy, and the bank."""
        self.deployment.run("db", "upgrade")
        for noun, text in (("policy", development_document()), ("client", CLIENTS)):
            path = self.deployment.folder / f"{noun}.yaml"
            path.write_text(text)
            self.deployment.run(noun, "apply", str(path))

    def wait_for_copy(self) -> None:
        """Return when Redis keeps what an instance can start with."""
        with redis.Redis.from_url(self.redis.url) as client:
            wait_until(lambda: client.exists(keys.snapshot()) == 1)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    directory = DataDirectory(tmp_path / "engines")
    postgres = StoppableEngine(lambda: EmbeddedPostgres(directory, {"fsync": "off"}))
    redis_server = StoppableEngine(lambda: EmbeddedRedis(directory, FAST_REDIS))
    try:
        prepared = Away(tmp_path, postgres, redis_server)
        prepared.prepare()
        yield prepared
    finally:
        redis_server.stop()
        postgres.stop()
        directory.close()


def bank_at(serving: Serving) -> Api:
    admin = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    return Api(BankAt(serving.origin, admin))


def readyz(serving: Serving) -> dict:
    try:
        return httpx2.get(f"{serving.origin}/readyz", timeout=10, trust_env=False).json()
    except httpx2.TransportError:
        return {"status": "unreachable", "components": {}}


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def whole_step_up(bank: Api, subject: Subject) -> str:
    """Go from the decision to a used token, and return it."""
    opened = bank.open(bank.ticket(subject.sub))
    assert opened.status_code == 201, opened.text
    pending = Pending(subject, opened.json()["challenge_id"])
    passed = bank.answer_above_the_floor(pending)
    assert passed.json()["status"] == "passed", passed.text
    token = str(bank.redeem(passed.json()["code"], "redeem").json()["access_token"])
    assert bank.introspect(token).json()["active"] is True
    assert bank.consume(token, "consume").status_code == 200
    assert bank.introspect(token).json()["active"] is False
    return token


def test_an_instance_starts_without_postgres_and_a_whole_step_up_goes_through_it(away: Away):
    with away.deployment.serving("before") as before:
        wait_until(lambda: before.status() == 200)
        bank = bank_at(before)
        subject = bank.enroll()
        bank.close()
        away.wait_for_copy()
    away.postgres.kill()

    with away.deployment.serving("started") as started:
        wait_until(lambda: started.status() == 200)
        assert "postgres_away" in started.log.read_text()
        report = readyz(started)
        assert report["status"] == "degraded"
        assert report["components"]["postgres"] == "failing"
        bank = bank_at(started)
        whole_step_up(bank, subject)
        refused = bank.open(bank.ticket("e2e-nobody-has-seen"))
        assert is_honest_refusal(refused), refused.text

        away.postgres.start()
        wait_until(lambda: readyz(started)["status"] == "ready", RECOVERS_WITHIN)
        # It looks at the schema now, and can do what had to wait.
        whole_step_up(bank, bank.enroll())
        bank.close()
        wait_until(lambda: waiting_rows(started) == 0, RECOVERS_WITHIN)
    consumed = json.loads(
        away.deployment.run("audit", "export", "--format", "jsonl").splitlines()[-1]
    )
    assert consumed["kind"] == "token.consumed"


def test_with_both_away_an_instance_is_not_ready_and_becomes_so_by_itself(away: Away):
    with away.deployment.serving("before") as before:
        wait_until(lambda: before.status() == 200)
        bank = bank_at(before)
        subject = bank.enroll()
        bank.close()
        away.wait_for_copy()
    away.postgres.kill()
    away.redis.kill()

    with away.deployment.serving("started") as started:
        wait_until(lambda: started.status("/livez") == 200)
        report = readyz(started)
        assert report["status"] == "unready"
        assert report["components"]["policy"] == "failing"
        assert report["components"]["redis"] == "failing"
        bank = bank_at(started)
        assert is_honest_refusal(bank.decide(subject.sub))

        away.redis.start()
        wait_until(lambda: readyz(started)["status"] == "degraded", RECOVERS_WITHIN)
        whole_step_up(bank, subject)
        bank.close()
        away.postgres.start()
        wait_until(lambda: readyz(started)["status"] == "ready", RECOVERS_WITHIN)


def test_an_empty_deployment_without_postgres_becomes_ready_when_it_is_made(tmp_path: Path):
    """Nothing to start with is no reason to end: the order of starts must not matter."""
    directory = DataDirectory(tmp_path / "engines")
    postgres = StoppableEngine(lambda: EmbeddedPostgres(directory, {"fsync": "off"}))
    redis_server = StoppableEngine(lambda: EmbeddedRedis(directory, FAST_REDIS))
    try:
        fresh = Away(tmp_path, postgres, redis_server)
        fresh.deployment.run("db", "upgrade")
        postgres.kill()
        with fresh.deployment.serving("first") as first:
            wait_until(lambda: first.status("/livez") == 200)
            assert readyz(first)["status"] == "unready"
            postgres.start()
            fresh.prepare()
            wait_until(lambda: readyz(first)["status"] == "ready", RECOVERS_WITHIN)
    finally:
        redis_server.stop()
        postgres.stop()
        directory.close()


def test_a_wrong_schema_that_is_seen_when_postgres_is_back_ends_the_service(away: Away):
    with away.deployment.serving("before") as before:
        wait_until(lambda: before.status() == 200)
        away.wait_for_copy()
    away.deployment.run("db", "downgrade", "--", "-1")
    away.postgres.kill()

    with away.deployment.serving("started") as started:
        wait_until(lambda: started.status() == 200)
        away.postgres.start()
        assert started.process.wait(30) == 1
        assert "run `stepup db upgrade`" in " ".join(started.log.read_text().split())


def test_with_the_wrong_keys_and_without_postgres_it_says_what_is_missing(away: Away):
    with away.deployment.serving("before") as before:
        wait_until(lambda: before.status() == 200)
        away.wait_for_copy()
    away.postgres.kill()

    right = away.deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"]
    away.deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"] = "2:" + "A" * 43 + "="
    with away.deployment.serving("wrong") as wrong:
        wait_until(lambda: wrong.status("/livez") == 200)
        assert wrong.status() == 503
        assert "STEPUP_KEY_ENCRYPTION_KEYS" in wrong.log.read_text()
    away.deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"] = right
    with away.deployment.serving("right") as started:
        wait_until(lambda: started.status() == 200)
        assert "STEPUP_KEY_ENCRYPTION_KEYS" not in started.log.read_text()


@pytest.mark.parametrize("fault", ["frozen", "killed", "demoted"])
def test_challenges_open_and_are_answered_while_postgres_is(away: Away, fault: str):
    with away.deployment.serving("one") as one:
        wait_until(lambda: one.status() == 200)
        bank = bank_at(one)
        subjects = [bank.enroll() for _ in range(6)]
        with during(away, fault):
            slowest = 0.0
            for subject in subjects:
                began = time.monotonic()
                whole_step_up(bank, subject)
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 3
            if fault != "frozen":  # there each costs a second, and says no more
                refused = bank.try_to_enroll(Subject())
                assert is_honest_refusal(refused), refused.text
                assert "database" in refused.json()["detail"]

        wait_until(lambda: readyz(one)["status"] == "ready", RECOVERS_WITHIN)
        whole_step_up(bank, bank.enroll())
        bank.close()
        wait_until(lambda: waiting_rows(one) == 0, RECOVERS_WITHIN)
    exported = away.deployment.run("audit", "export", "--format", "jsonl").splitlines()
    kinds = [json.loads(line)["kind"] for line in exported]
    assert kinds.count("token.issued") == kinds.count("token.consumed") == len(subjects) + 1


def during(away: Away, fault: str) -> AbstractContextManager[None]:
    return demoted(away) if fault == "demoted" else getattr(away.postgres, fault)()


@contextmanager
def demoted(away: Away) -> Iterator[None]:
    """Let the server refuse every write, on connections that stay open, as an old primary does."""
    url = away.postgres.url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            time.sleep(0.2)
            yield
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


def waiting_rows(serving: Serving) -> float:
    text = httpx2.get(f"{serving.origin}/metrics", timeout=10, trust_env=False).text
    line = next(each for each in text.splitlines() if each.startswith("stepup_outbox_entries "))
    return float(line.split()[1])
