"""Status lists over HTTP (draft-ietf-oauth-status-list-20, sections 8 and 9)."""

import json
from urllib.parse import urlsplit

import pytest

from stepup.crypto import digests
from stepup.crypto.status_list import PackedStatuses
from tests.http.flow import BANK, Flow

MEDIA_TYPE = "application/statuslist+jwt"


@pytest.fixture
async def token(flow: Flow) -> str:
    return await flow.token()


@pytest.fixture
def listed(token: str) -> dict:
    return payload(token)["status"]["status_list"]


@pytest.fixture
def path(listed: dict) -> str:
    return urlsplit(listed["uri"]).path


def payload(text: str) -> dict:
    return json.loads(digests.decode(text.split(".")[1]))


async def test_draft_8_1_answers_with_a_status_list_token(http, path, listed):
    answer = await http.get(path, headers={"accept": MEDIA_TYPE, "accept-encoding": "identity"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPE
    header = json.loads(digests.decode(answer.text.split(".")[0]))
    assert header["typ"] == "statuslist+jwt"
    assert payload(answer.text)["sub"] == listed["uri"]
    assert payload(answer.text)["status_list"]["bits"] == 2


async def test_draft_8_3_says_that_a_revoked_token_is_invalid(http, path, listed, token):
    assert await said(http, path, listed["idx"]) == 0
    await http.post("/oauth2/revoke", data={"token": token}, auth=BANK)
    assert await said(http, path, listed["idx"]) == 1


async def test_draft_8_2_anybody_may_read_it_from_any_page(http, path):
    answer = await http.get(path)
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_draft_8_2_it_is_compressed_for_who_accepts_that(http, path):
    raw = await http.get(path, headers={"accept-encoding": "gzip"})
    assert raw.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in raw.headers["vary"]
    for refused in ("identity", "gzip;q=0", "br"):
        plain = await http.get(path, headers={"accept-encoding": refused})
        assert "content-encoding" not in plain.headers


async def test_it_may_be_kept_no_longer_than_its_ttl(http, path):
    answer = await http.get(path, headers={"accept-encoding": "identity"})
    assert answer.headers["cache-control"] == f"public, max-age={payload(answer.text)['ttl']}"


async def test_who_has_it_is_told_so(http, path):
    first = await http.get(path)
    again = await http.get(path, headers={"if-none-match": first.headers["etag"]})
    assert not first.headers["etag"].startswith("W/")
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-encoding" not in again.headers


@pytest.mark.parametrize("accept", ["application/statuslist+cwt", "text/html", "application/json"])
async def test_another_form_is_not_acceptable(http, path, accept):
    answer = await http.get(path, headers={"accept": accept})
    assert answer.status_code == 406
    assert answer.json()["code"] == "status_form_not_acceptable"


@pytest.mark.parametrize("accept", ["*/*", "application/*;q=0.5", f"text/html, {MEDIA_TYPE};q=1"])
async def test_ours_among_others_is_acceptable(http, path, accept):
    assert (await http.get(path, headers={"accept": accept})).status_code == 200


async def test_draft_8_4_what_it_said_in_the_past_is_not_kept(http, path):
    answer = await http.get(path, params={"time": "1763726400"})
    assert answer.status_code == 501
    assert answer.json()["code"] == "historical_status"


async def test_an_unknown_list_is_not_found(http):
    answer = await http.get("/status-lists/r1.1.x")
    assert answer.status_code == 404
    assert answer.json()["code"] == "status_list_not_found"


async def test_draft_9_all_lists_are_named_in_one_document(http, listed):
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    answer = await http.get(urlsplit(metadata["status_list_aggregation_endpoint"]).path)
    assert answer.json() == {"status_lists": [listed["uri"]]}
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_draft_9_3_the_list_names_that_document(http, path):
    answer = await http.get(path, headers={"accept-encoding": "identity"})
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    aggregation = payload(answer.text)["status_list"]["aggregation_uri"]
    assert aggregation == metadata["status_list_aggregation_endpoint"]


async def said(http, path: str, place: int) -> int:
    answer = await http.get(path, headers={"accept-encoding": "identity"})
    listed = payload(answer.text)["status_list"]
    return PackedStatuses.read(listed["bits"], listed["lst"])[place]
