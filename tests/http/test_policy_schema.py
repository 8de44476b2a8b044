"""The schema of policy documents: public, and kept by whoever reads it."""

from stepup.http.schemas import SCHEMA_PATH
from stepup.policy_language.json_schema import json_schema


async def test_anybody_may_read_it_and_keep_it(frame):
    answer = await frame.get(SCHEMA_PATH)

    assert answer.status_code == 200
    assert answer.json() == json_schema()
    assert "public" in answer.headers["cache-control"]
    assert answer.headers["access-control-allow-origin"] == "*"

    tag = {"if-none-match": answer.headers["etag"]}
    assert (await frame.get(SCHEMA_PATH, headers=tag)).status_code == 304
