"""JSON bodies are read in one way only, and unknown members are ignored."""

import msgspec
import pytest

from stepup.domain.errors import InvalidRequestError
from stepup.domain.unambiguous_json import DEPTH_LIMIT
from stepup.http.json_body import parse_json


class Thing(msgspec.Struct):
    type: str
    id: str = ""
    size: int = 0


def test_reads_a_struct_and_ignores_what_it_does_not_know():
    assert parse_json(b'{"type": "a", "other": {"x": [1]}}', Thing) == Thing(type="a")


@pytest.mark.parametrize(
    "text",
    [
        b'{"type": "a", "type": "b"}',
        b'{"type": "a", "other": {"x": 1, "x": 1}}',
        b'{"type": "a", "other": [{"x": 1, "\\u0078": 2}]}',
    ],
)
def test_a_repeated_member_is_refused_wherever_it_stands(text):
    with pytest.raises(InvalidRequestError, match="repeated"):
        parse_json(text, Thing)


@pytest.mark.parametrize(
    "text",
    [
        b'{"type": "\\ud800"}',
        b'{"type": "a", "other": "\\udc00"}',
        b'{"type": "a", "\\ud83d": 1}',
    ],
)
def test_a_lone_surrogate_is_refused_wherever_it_stands(text):
    with pytest.raises(InvalidRequestError):
        parse_json(text, Thing)


def test_a_pair_of_surrogates_is_one_character():
    assert parse_json(b'{"type": "\\ud83d\\ude00"}', Thing).type == "😀"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'"a"',
        b"null",
        b'[{"type": "a"}]',
        b'{"type": NaN}',
        b'{"type": "a", "size": Infinity}',
        b'{"type": "a",}',
        b"{'type': 'a'}",
        b'\xef\xbb\xbf{"type": "a"}',
        b'{"type": "\xff"}',
        b'{"type": "a", "other": "\xed\xa0\x80"}',
        b'{"type": "a"} {"type": "b"}',
        b'{"type": "a", "size": ' + b"9" * 5000 + b"}",
        b'{"type": "a", "other": ' + b"9" * 5000 + b"}",
    ],
)
def test_malformed_json_is_refused(text):
    with pytest.raises(InvalidRequestError):
        parse_json(text, Thing)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b'{"type": 1}', r"\$\.type"),
        (b'{"type": null}', r"\$\.type"),
        (b'{"type": "a", "size": "1"}', r"\$\.size"),
        (b'{"id": "a"}', "type"),
    ],
)
def test_a_wrong_type_is_refused_and_named(text, where):
    with pytest.raises(InvalidRequestError, match=where):
        parse_json(text, Thing)


def test_deep_nesting_is_refused():
    deep = b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT

    with pytest.raises(InvalidRequestError, match="deeply"):
        parse_json(b'{"type": "a", "other": ' + deep + b"}", Thing)


def test_the_deepest_allowed_nesting_is_read():
    deep = b"[" * (DEPTH_LIMIT - 1) + b"]" * (DEPTH_LIMIT - 1)

    assert parse_json(b'{"type": "a", "other": ' + deep + b"}", Thing)


def test_many_shallow_objects_are_not_deep():
    many = b",".join([b"[{}]"] * 100)

    assert parse_json(b'{"type": "[[[[", "other": [' + many + b"]}", Thing)


def test_brackets_in_text_are_not_depth():
    assert parse_json(b'{"type": "' + b"[" * 100 + b'\\"{"}', Thing)


async def test_reads_the_body_of_a_request(frame):
    response = await frame.post("/orders", json={"name": "x", "amount": 3})

    assert response.json() == {"name": "x", "amount": 3}


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]
)
async def test_parameters_of_the_content_type_are_accepted(frame, content_type):
    response = await frame.post(
        "/orders", content=b'{"name": "x"}', headers={"content-type": content_type}
    )

    assert response.status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json5", ""])
async def test_another_content_type_is_400(frame, content_type):
    headers = {} if content_type is None else {"content-type": content_type}

    response = await frame.post("/orders", content=b'{"name": "x"}', headers=headers)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


async def test_malformed_json_is_a_problem(frame):
    response = await frame.post(
        "/orders", content=b'{"name": ', headers={"content-type": "application/json"}
    )

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
