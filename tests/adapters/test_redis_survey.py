"""What a survey of the set says, by cases; no server is needed."""

import msgspec
import pytest

from stepup.adapters.redis.preference import changes
from stepup.adapters.redis.survey import MOST_BEHIND, SentinelView, ServerView, Survey, findings

ONE, TWO, THREE = ("10.0.0.1", 6379), ("10.0.0.2", 6379), ("10.0.0.3", 6379)
HELD = "min-replicas-to-write"
PRIMARY = ServerView(
    address=ONE, is_primary=True, offset=MOST_BEHIND + 500, attached=(TWO, THREE), min_replicas=1
)
REPLICA = ServerView(
    address=TWO, follows=ONE, link="connected", offset=MOST_BEHIND + 500, min_replicas=1
)
THIRD = msgspec.structs.replace(REPLICA, address=THREE)
SENTINEL = SentinelView(
    at="10.0.0.1:26379", primary=ONE, config_epoch=4, others=2, priorities={TWO: 100, THREE: 100}
)
OTHER = msgspec.structs.replace(SENTINEL, at="10.0.0.2:26379")
LAST = msgspec.structs.replace(SENTINEL, at="10.0.0.3:26379")


def seen(*changed: SentinelView | ServerView) -> Survey:
    """Return a healthy set but for what is given, which takes the place of its like."""
    sentinels = {each.at: each for each in (SENTINEL, OTHER, LAST)}
    servers = {each.address: each for each in (PRIMARY, REPLICA, THIRD)}
    for each in changed:
        if isinstance(each, SentinelView):
            sentinels[each.at] = each
        else:
            servers[each.address] = each
    return Survey(sentinels=tuple(sentinels.values()), servers=tuple(servers.values()))


def but(view, **changed):
    return msgspec.structs.replace(view, **changed)


def test_a_healthy_set_has_no_findings():
    assert findings(seen()) == []
    assert seen().primary == ONE
    assert seen().replicas == [TWO, THREE]


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        (SentinelView(at=LAST.at, error="refused"), f"Sentinel {LAST.at} does not answer: refused"),
        (
            but(LAST, primary=TWO),
            f"Sentinel {LAST.at} names 10.0.0.2:6379 as the primary, most name 10.0.0.1:6379",
        ),
        (but(LAST, config_epoch=3), f"Sentinel {LAST.at} has configuration 3, the newest is 4"),
        (but(LAST, is_down=True), f"Sentinel {LAST.at} sees the primary down"),
        (but(LAST, is_failing_over=True), f"Sentinel {LAST.at} is failing over"),
        (but(LAST, others=1), f"Sentinel {LAST.at} knows 1 other Sentinels, the URL has 2"),
        (ServerView(address=THREE, error="no"), "10.0.0.3:6379 does not answer: no"),
        (but(THIRD, is_primary=True), "10.0.0.3:6379 says that it is a primary"),
        (but(PRIMARY, is_primary=False), "10.0.0.1:6379 says that it is a replica"),
        (but(THIRD, follows=TWO), "10.0.0.3:6379 follows 10.0.0.2:6379"),
        (but(THIRD, link="sync"), "10.0.0.3:6379 has lost the primary: its link is sync"),
        (but(THIRD, offset=0), f"10.0.0.3:6379 is {MOST_BEHIND + 500} bytes behind the primary"),
        (but(PRIMARY, attached=(TWO,)), "1 replica in step, 2 are needed"),
        (but(PRIMARY, attached=()), "no replicas in step, 2 are needed"),
        (
            but(THIRD, min_replicas=99),
            f"10.0.0.3:6379 could never write: its {HELD} is 99, and there are 2 others",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_thing_that_is_wrong_is_said(changed, finding):
    assert finding in findings(seen(changed))


def test_a_set_of_which_nothing_is_known_is_not_healthy():
    nothing = tuple(SentinelView(at=each.at, error="no") for each in (SENTINEL, OTHER, LAST))
    survey = Survey(sentinels=nothing, servers=())
    assert survey.primary is None
    assert "no replicas in step, 2 are needed" in findings(survey)


@pytest.mark.parametrize(
    ("priorities", "wanted"),
    [
        ({TWO: 100, THREE: 100}, {TWO: 1}),
        ({TWO: 10, THREE: 100}, {}),
        ({TWO: 1, THREE: 1}, {THREE: 2}),
        ({TWO: 50, THREE: 1}, {TWO: 1, THREE: 2}),
        ({TWO: 50, THREE: 0}, {}),
        ({TWO: 0, THREE: 100}, {TWO: 1}),
    ],
)
def test_the_replica_that_is_wanted_gets_the_lowest_priority(priorities, wanted):
    assert changes(priorities, TWO) == wanted
