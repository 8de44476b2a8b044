"""A service that is stopped under load loses no request (RELIABILITY, measurement M 9)."""

import base64
import http.client
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import psycopg
import pytest
import redis

from stepup.adapters.redis import keys
from tests.adapters.conftest import libpq_url
from tests.e2e.production import CREDENTIALS, QUESTION, Deployment, Serving
from tests.e2e.test_first_start import wait_until
from tests.support.engines import fresh_database

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

CALLERS = 6
PROBE_EVERY = 0.1
HEADERS = {
    "content-type": "application/json",
    "authorization": f"Basic {base64.b64encode(':'.join(CREDENTIALS).encode()).decode()}",
}


class Balancer:
    """Callers on kept-alive connections, who go elsewhere when the service is not ready."""

    def __init__(self, service: Serving) -> None:
        self.service = service
        self.outcomes: Counter[str] = Counter()
        self.last_good = 0.0
        self._elsewhere = threading.Event()
        work = [self._probe, *[self._call] * CALLERS]
        self._threads = [threading.Thread(target=each) for each in work]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._elsewhere.set()
        for each in self._threads:
            each.join(20)

    def _probe(self) -> None:
        while not self._elsewhere.is_set():
            if self.service.status() != 200:
                self._elsewhere.set()
            time.sleep(PROBE_EVERY)

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
        while not self._elsewhere.is_set():
            try:
                # When the answer before said `Connection: close`, this opens another connection.
                connection.request("POST", "/access/v1/evaluation", json.dumps(QUESTION), HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[repr(error)] += 1
                connection.close()
            else:
                self.outcomes[str(answer.status)] += 1
                self.last_good = time.monotonic()
        connection.close()


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def service(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Serving]:
    settings = {
        "STEPUP_WORKERS": "2",
        "STEPUP_DRAIN_DELAY": "1500ms",
        "STEPUP_DECISION_SAMPLING": "1",
    }
    deployment = Deployment(database_url, redis_url, tmp_path, **settings)
    deployment.run("db", "upgrade")
    deployment.apply()
    with deployment.serving("serve") as serving:
        # Workers become ready one after the other, and any of them may answer a probe.
        wait_until(lambda: all(serving.status() == 200 for _ in range(20)))
        yield serving


def recorded_since(began: datetime, database_url: str, redis_url: str) -> set[str]:
    """Name the decisions that were recorded since, written and on their way."""
    with psycopg.connect(libpq_url(database_url)) as connection:
        found = connection.execute("SELECT id FROM decision WHERE at >= %s", [began]).fetchall()
    with redis.Redis.from_url(redis_url) as client:
        waiting = client.xrange(keys.decisions(), min=int(began.timestamp() * 1000))
    return {name for (name,) in found} | {json.loads(e[b"entry"])["id"] for _, e in waiting}


def test_no_request_and_no_record_is_lost_when_the_service_is_stopped_under_load(
    service: Serving, database_url: str, redis_url: str
):
    began = datetime.now(UTC)
    with Balancer(service) as balancer:
        time.sleep(1.0)
        stopped_at = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
    assert set(balancer.outcomes) == {"200"}, balancer.outcomes
    assert balancer.outcomes["200"] > 100
    assert balancer.last_good > stopped_at
    assert len(recorded_since(began, database_url, redis_url)) == balancer.outcomes["200"]
