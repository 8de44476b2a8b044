"""Real engines are frozen and killed in the middle: nothing is granted, nothing is lost."""

import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.e2e.api import Api, is_honest_refusal
from tests.e2e.cluster import RECOVERS_WITHIN, Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Api]:
    cluster.wait_until_well()
    opened = Api(cluster.one)
    yield opened
    opened.close()
    cluster.wait_until_well()


@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_redis_away_grants_nothing_and_the_same_code_redeems_afterwards(
    cluster: Cluster, api: Api, fault: str
):
    code, pending = api.passed(), api.opened()
    guess = pending.subject.app.code()
    with getattr(cluster.redis, fault)():
        redeemed = api.redeem(code, "redeem")
        answered = api.answer(pending.challenge_id, guess, "answer")
        assert is_honest_refusal(redeemed), redeemed.text
        assert is_honest_refusal(answered), answered.text
        assert api.decide(pending.subject.sub).status_code == 200

    assert "access_token" in until_granted(lambda: api.redeem(code, "redeem")).json()
    if fault == "frozen":
        passed = until_granted(lambda: api.answer(pending.challenge_id, guess, "answer"))
    else:
        # It may have forgotten who used which code, so those of its time count no more.
        early = until_granted(lambda: api.answer(pending.challenge_id, guess, "answer"), 403)
        assert early.json()["code"] == "code_too_early"
        passed = api.answer_above_the_floor(pending)
    assert passed.json()["status"] == "passed", passed.text
    assert api.redeem(code, "another").json()["error"] == "invalid_grant"


@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_postgres_away_and_what_is_under_way_comes_to_its_end(
    cluster: Cluster, api: Api, fault: str
):
    token, code, pending = api.elevated(), api.passed(), api.opened()
    newcomer = api.enroll()
    ticket = api.ticket(newcomer.sub)
    with getattr(cluster.postgres, fault)():
        assert api.decide(newcomer.sub).json()["decision"] is False
        assert api.introspect(token).json()["active"] is True
        assert "access_token" in api.redeem(code, "redeem").json()
        answered = api.answer(pending.challenge_id, pending.subject.app.code(), "answer")
        assert answered.json()["status"] == "passed"
        assert "access_token" in api.redeem(answered.json()["code"], "redeem").json()
        # Whoever was enrolled today begins a new one as well; of a stranger nobody knows anything.
        assert api.open(ticket).status_code == 201
        refused = api.open(api.ticket("e2e-nobody-has-seen"))
        assert is_honest_refusal(refused), refused.text

    until_granted(lambda: api.open(api.ticket(newcomer.sub)), granted=201)


def until_granted(ask: Callable[[], httpx2.Response], granted: int = 200) -> httpx2.Response:
    """Ask until it is granted; on the way only honest refusals are right."""
    deadline = time.monotonic() + RECOVERS_WITHIN
    while (answer := ask()).status_code != granted:
        assert is_honest_refusal(answer), answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer
