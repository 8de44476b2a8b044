"""What a decision costs does not grow with the policy around it; ratios only, a machine may be busy."""

from tests.bench.decisions import RULES, crowded, measure_decisions
from tests.bench.turns import QUICK
from tests.policy_language.documents import errors

EFFORT = QUICK._replace(rounds=5, decisions=500)


def test_a_decision_costs_the_same_among_a_hundred_actions_as_alone():
    flat, typical = measure_decisions(EFFORT)

    # Twice would be a search; what is left are caches of the processor and the neighbors.
    assert flat.ratio < 1.5
    assert typical.ratio < 10


def test_a_thousand_actions_with_twenty_rules_each_are_a_document():
    text = crowded(1000)

    assert len(text) <= 1024 * 1024
    assert errors(crowded(2)) == []
    assert text.count("id: r") == 1000 * RULES
