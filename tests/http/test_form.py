"""Forms are read in one way only."""

import pytest

from stepup.domain.errors import InvalidRequestError, InvalidTargetError
from stepup.http.form import parse_form

FORM = {"content-type": "application/x-www-form-urlencoded"}
BANK = ("bank", "a-secret-of-full-entropy")


def test_reads_names_and_values():
    assert parse_form(b"a=1&b=x+y%2Bz&c=%C3%BC&d=1=2") == {
        "a": "1",
        "b": "x y+z",
        "c": "ü",
        "d": "1=2",
    }


def test_rfc6749_3_1_a_parameter_without_a_value_was_not_sent():
    assert parse_form(b"a=&b&c=1&&=x") == {"c": "1"}


@pytest.mark.parametrize("text", [b"a=1&a=2", b"a=1&a=1", b"a=&a=1", b"a=1&%61=2"])
def test_rfc6749_3_1_a_repeated_parameter_is_refused(text):
    with pytest.raises(InvalidRequestError, match="repeated"):
        parse_form(text)


def test_two_resources_are_a_target_we_cannot_serve():
    with pytest.raises(InvalidTargetError):
        parse_form(b"resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb")


@pytest.mark.parametrize("text", [b"a=%ff", b"%ff=1", b"a=\xff", b"a=%zz", b"a=%4", b"a=%00"])
def test_text_that_readers_could_disagree_about_is_refused(text):
    with pytest.raises(InvalidRequestError):
        parse_form(text)


def test_a_missing_parameter_is_named():
    with pytest.raises(InvalidRequestError, match="token"):
        parse_form(b"a=1").need("token")


def test_a_parameter_that_is_there_is_given():
    assert parse_form(b"token=x").need("token") == "x"


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "multipart/form-data; boundary=x", "text/plain"]
)
async def test_another_content_type_is_an_invalid_request(frame, content_type):
    headers = {} if content_type is None else {"content-type": content_type}

    response = await frame.post("/oauth2/echo", content=b"a=1", headers=headers, auth=BANK)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_charset_is_allowed(frame):
    headers = {"content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}

    response = await frame.post("/oauth2/echo", content=b"a=1", headers=headers, auth=BANK)

    assert response.json() == {"caller": "bank", "a": "1"}


async def test_what_stands_in_the_query_is_ignored(frame):
    response = await frame.post(
        "/oauth2/echo?token=from-the-query", content=b"a=1", headers=FORM, auth=BANK
    )

    assert response.json() == {"caller": "bank", "a": "1"}
