"""Where an introspection's time goes can be measured; ratios only, a machine may be busy."""

from tests.bench.introspection import measure


async def test_a_token_that_was_seen_before_costs_no_signature():
    lines = {line.name: line.us for line in await measure(rounds=3, times=30)}

    assert lines["read a token, seen before"] < lines["read a token, the first time"] / 4
    assert all(us > 0 for us in lines.values())
