"""Repeats are a tenth of the requests, and a little more for who asks rarely."""

from stepup import telemetry
from stepup.adapters.redis.retry_budget import CAPACITY, REPEATS_PER_SECOND, RetryBudget


def ratio() -> float | None:
    return telemetry.REGISTRY.get_sample_value(
        "stepup_retry_budget_ratio", {"dependency": "budget-test"}
    )


def a_budget(capacity: int = CAPACITY) -> RetryBudget:
    return RetryBudget("budget-test", capacity)


def drain(budget: RetryBudget) -> int:
    count = 0
    while budget.repeat():
        count += 1
    return count


def test_begins_full_and_ends():
    budget = a_budget(20)
    assert ratio() == 1.0
    assert drain(budget) == 20
    assert ratio() == 0.0


def test_at_most_a_tenth_are_repeats_however_many_want_to():
    budget, repeats = a_budget(1), 0
    drain(budget)
    for _ in range(10_000):
        budget.request(now=0.0)
        repeats += drain(budget)
    assert repeats == 1_000


def test_who_asks_rarely_may_repeat_too():
    budget = a_budget(10)
    drain(budget)
    budget.request(now=100.0)
    drain(budget)
    budget.request(now=105.0)
    assert drain(budget) == 5 * REPEATS_PER_SECOND


def test_never_holds_more_than_its_capacity():
    budget = a_budget(10)
    drain(budget)
    budget.request(now=0.0)
    budget.request(now=1e9)
    assert drain(budget) == 10
