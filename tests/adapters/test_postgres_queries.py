"""What the stores ask of the server: how often, and whether an index answers."""

import time

import pytest
from sqlalchemy import event

from stepup.adapters.postgres.authenticators import PostgresAuthenticatorStore
from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.adapters.postgres.engine import make_engine
from stepup.adapters.postgres.line import Line
from tests.support.builders import a_subject

pytestmark = pytest.mark.postgres


async def test_of_subject_is_one_query_that_an_index_answers_in_order(schema_url, sealer, rows):
    engine, asked = make_engine(schema_url), []

    def note(_connection, _cursor, statement, parameters, *_rest):
        asked.append((statement, parameters))

    line = Line(lambda: engine, CircuitBreaker(time.monotonic))
    async with line.transaction() as transaction:
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        await PostgresAuthenticatorStore(transaction, sealer).of_subject(a_subject())
    await line.close()

    [(statement, parameters)] = asked
    # The table is empty; in a real one nothing else would be chosen.
    rows.execute("SET enable_seqscan = off")
    rows.execute("SET enable_bitmapscan = off")
    plan = [text for (text,) in rows.execute(f"EXPLAIN {statement}", parameters)]
    assert plan[0].startswith("Index Scan using ix_authenticator_subject_id_created_at_id")
    assert "Sort" not in "".join(plan)
