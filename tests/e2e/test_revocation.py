"""Revoked at one service, over at the other: at once, and whatever is away meanwhile."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest

from tests.e2e.api import Api, Pending
from tests.e2e.cluster import Cluster
from tests.support.service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

R = 5.0


@pytest.fixture
def apis(cluster: Cluster) -> Iterator[tuple[Api, Api]]:
    cluster.wait_until_well()
    opened = Api(cluster.one), Api(cluster.other)
    yield opened
    for each in opened:
        each.close()
    cluster.wait_until_well()


def token_of(api: Api, pending: Pending) -> str:
    answer = api.answer(pending.challenge_id, pending.subject.app.code(), "answer")
    redeemed = api.redeem(answer.json()["code"], "redeem")
    assert redeemed.status_code == 200, redeemed.text
    return str(redeemed.json()["access_token"])


def says_active(answer: httpx2.Response) -> bool:
    assert answer.status_code in {200, 503}, answer.text
    return answer.status_code == 200 and answer.json()["active"]


def test_revoked_at_one_is_over_at_the_other_at_once(apis: tuple[Api, Api]):
    one, other = apis
    for _ in range(5):
        token = one.elevated()
        assert other.introspect(token).json()["active"] is True
        assert one.revoke(token).status_code == 200
        assert other.introspect(token).json() == {"active": False}


@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_with_postgres_away_it_is_over_at_once_all_the_same(
    cluster: Cluster, apis: tuple[Api, Api], fault: str
):
    one, other = apis
    tokens = [one.elevated() for _ in range(3)]
    with getattr(cluster.postgres, fault)():
        for token in tokens:
            began = time.monotonic()
            assert one.revoke(token).status_code == 200
            assert time.monotonic() - began < 1.0
            assert other.introspect(token).json() == {"active": False}


def test_a_removed_authenticator_ends_what_it_gave_also_where_somebody_slept(
    cluster: Cluster, apis: tuple[Api, Api]
):
    one, other = apis
    pending = one.opened()
    token = token_of(one, pending)
    assert says_active(other.introspect(token))
    with asleep(cluster.other):
        one.remove_authenticators(pending.subject.sub)
        assert not says_active(one.introspect(token))
        time.sleep(R)
    began = time.monotonic()
    while time.monotonic() - began < 3.0:
        assert not says_active(other.introspect(token))


def test_a_removed_authenticator_ends_what_it_gave_at_once(apis: tuple[Api, Api]):
    one, other = apis
    pending = one.opened()
    token = token_of(one, pending)
    one.remove_authenticators(pending.subject.sub)
    assert one.introspect(token).json() == {"active": False}
    assert other.introspect(token).json() == {"active": False}


def test_the_feed_is_a_component_and_a_figure(cluster: Cluster, apis: tuple[Api, Api]):
    ready = cluster.one.get("/readyz").json()
    assert (ready["components"]["revocations"], ready["components"]["revocation_feed"]) == (
        "ok",
        "ok",
    )
    figures = cluster.one.get("/metrics").text
    [line] = [
        each for each in figures.splitlines() if each.startswith("stepup_revocation_feed_lag")
    ]
    assert float(line.rpartition(" ")[2]) < R


def test_with_redis_away_it_is_taken_and_over_when_redis_is_back(
    cluster: Cluster, apis: tuple[Api, Api]
):
    one, other = apis
    token = one.elevated()
    with cluster.redis.killed():
        assert one.revoke(token).status_code == 200
        # Whether it was used up is known to Redis alone.
        assert not says_active(other.introspect(token))
    deadline = time.monotonic() + 15
    while (answer := other.introspect(token)).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert answer.json() == {"active": False}


@contextmanager
def asleep(service: RunningService) -> Iterator[None]:
    """Keep a service and its workers from running until the block ends."""
    family = [service.process.pid, *service.descendants()]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
