"""What the stores ask of the server: how often, and whether an index answers."""

import time

import pytest
from sqlalchemy import event

from stepup.adapters.postgres.audit import PostgresAuditStore
from stepup.adapters.postgres.authenticators import PostgresAuthenticatorStore
from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.adapters.postgres.chain_keys import ChainKeys
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


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda store: store.last_chained(), "Backward using uq_audit_event_position"),
        (lambda store: store.chained(after=7, count=9), "using uq_audit_event_position"),
        (lambda store: store.written(after=7, count=9), "using pk_audit_event"),
        (lambda store: store.unchained(9), "using ix_audit_event_unchained"),
        (lambda store: store.count_unchained(), "using ix_audit_event_unchained"),
    ],
    ids=["last_chained", "chained", "written", "unchained", "count_unchained"],
)
async def test_the_audit_log_is_read_by_its_indexes(schema_url, sealer, rows, ask, index):
    engine, asked = make_engine(schema_url), []

    def note(_connection, _cursor, statement, parameters, *_rest):
        asked.append((statement, parameters))

    line = Line(lambda: engine, CircuitBreaker(time.monotonic))
    async with line.transaction() as transaction:
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        await ask(PostgresAuditStore(transaction, ChainKeys(sealer)))
    await line.close()

    [(statement, parameters)] = asked
    rows.execute("SET enable_seqscan = off")
    rows.execute("SET enable_bitmapscan = off")
    plan = "".join(text for (text,) in rows.execute(f"EXPLAIN {statement}", parameters))
    assert index in plan
    assert "Sort" not in plan
