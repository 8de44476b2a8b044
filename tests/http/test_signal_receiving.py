"""RFC 8935 from the other side: an identity provider pushes to us."""

import pytest

from tests.support.world import SIGNAL_TOKEN, World
from tests.usecases import test_receive_signal
from tests.usecases.test_receive_signal import a_set, ended

PATH = "/v1/signals/receive"
HEADERS = {
    "authorization": f"Bearer {SIGNAL_TOKEN}",
    "content-type": "application/secevent+jwt",
    "accept": "application/json",
}
world = test_receive_signal.world


async def test_rfc8935_2_2_an_event_that_took_effect_is_accepted_and_nothing_said(
    http, world: World
):
    answer = await http.post(PATH, content=a_set(world), headers=HEADERS)
    assert (answer.status_code, answer.content) == (202, b"")
    assert ended(world)


async def test_rfc8935_2_2_a_repeated_one_is_accepted_as_well(http, world: World):
    text = a_set(world)
    for _ in range(3):
        assert (await http.post(PATH, content=text, headers=HEADERS)).status_code == 202


@pytest.mark.parametrize(
    ("changes", "headers", "err"),
    [
        ({"iss": "https://other.example"}, {}, "invalid_issuer"),
        ({"aud": "somebody"}, {}, "invalid_audience"),
        ({"exp": 1}, {}, "invalid_request"),
        (
            {"sub_id": {"format": "iss_sub", "iss": "https://other.example", "sub": "alice"}},
            {},
            "access_denied",
        ),
        ({}, {"authorization": "Bearer another"}, "authentication_failed"),
        ({}, {"authorization": ""}, "authentication_failed"),
        ({}, {"content-type": "application/json"}, "invalid_request"),
    ],
)
async def test_rfc8935_2_3_an_error_says_what_and_in_which_language(
    http, world: World, changes, headers, err
):
    answer = await http.post(PATH, content=a_set(world, **changes), headers=HEADERS | headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-language"] == "en"
    assert answer.json().keys() == {"err", "description"}
    assert answer.json()["err"] == err
    assert not ended(world)


@pytest.mark.parametrize("body", [b"", b"a.b.c", b"\xff\xfe", b"." * 20_000, b"{}"])
async def test_rfc8935_2_3_what_is_no_set(http, world: World, body):
    answer = await http.post(PATH, content=body, headers=HEADERS)
    assert answer.status_code == 400
    assert answer.json()["err"] in {"invalid_request", "invalid_key"}
