"""One way to understand a body: what we bind must be what the route reads."""

import json
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litestar._parsers import parse_url_encoded_form_data

from stepup.sdk import BindingError, BodyTypeError
from stepup.sdk.bodies import fields_of

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
POLYGLOT = b'{"amount":"4000.00","payee":"Mallory","reference":"a=&amount=50.00&payee=x&z="}'


def json_of(body):
    return fields_of("json", [JSON], body)


def form_of(body):
    return fields_of("form", [FORM], body)


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [""],
        [FORM],
        ["text/plain"],
        ["text/json"],
        ["application/merge-patch+json"],
        ["multipart/form-data; boundary=x"],
        ["application/jsonp"],
        [f"{JSON}, {FORM}"],
        [f"{JSON}; {FORM}"],
        [f"{JSON}; charset=utf-16"],
        [f"{JSON}; charset=utf-8; charset=utf-7"],
        [f"{JSON}; charset=iso-8859-1"],
        [f"{JSON}; boundary=x"],
        [f"{JSON}\x00"],
        [f"{JSON}\n"],
        [JSON, JSON],
        [JSON, FORM],
    ],
    ids=str,
)
def test_the_caller_does_not_choose_how_the_body_is_read(sent):
    with pytest.raises(BodyTypeError):
        fields_of("json", sent, b'{"amount": "5.00"}')


@pytest.mark.parametrize("sent", [[], [JSON], ["text/plain"], [f"{FORM}; charset=latin1"]], ids=str)
def test_a_route_for_forms_takes_nothing_else(sent):
    with pytest.raises(BodyTypeError):
        fields_of("form", sent, b"amount=5.00")


@pytest.mark.parametrize("sent", [JSON, "Application/JSON", f'{JSON} ;charset="UTF-8"'])
def test_utf_8_may_be_said(sent):
    assert fields_of("json", [sent], b'{"a": 1}') == {"a": 1}
    assert fields_of("form", [f"{FORM};charset=utf-8"], b"a=1") == {"a": "1"}


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
def test_an_encoded_body_would_be_read_by_somebody_else(encoding):
    with pytest.raises(BodyTypeError):
        fields_of("json", [JSON], b"{}", [encoding])
    assert fields_of("json", [JSON], b"{}", ["identity"]) == {}


def test_the_polyglot_has_one_reading_at_most():
    assert json_of(POLYGLOT)["amount"] == "4000.00"
    with pytest.raises(BindingError):
        form_of(POLYGLOT)


def test_an_empty_body_says_nothing():
    assert fields_of("json", [], b"") == fields_of("form", ["text/plain"], b"") == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount": "1", "amount": "2"}',
        b'{"amount": "1", "\\u0061mount": "2"}',
        b'{"amount": "1", "Amount": "2"}',
        b'{"kind": "1", "\xe2\x84\xaaind": "2"}',
        b'{"order": {"amount": "1", "amount": "2"}}',
        b'{"orders": [{"amount": "1", "amount": "2"}]}',
        b'\xef\xbb\xbf{"amount": "1"}',
        '{"amount": "1"}'.encode("utf-16"),
        '{"amount": "1"}'.encode("utf-16-le"),
        b'{"amount": "\xff"}',
        b'{"amount": "\xed\xa0\x80"}',
        b'{"amount": "\\ud800"}',
        b'{"\\uDC00": "1"}',
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": -Infinity}',
        b'{"amount": 1e400}',
        b'{"amount": 1e-400}',
        b'{"amount": 1e-99999999999999999999}',
        b'{"amount": 0e99999999999999999999}',
        b'{"amount": 1000.00000000000000001}',
        b'{"amount": 0.1000000000000000055511151231257827}',
        b'{"amount": 18446744073709551616}',
        b'{"amount": -9223372036854775809}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b'{"amount": -0}',
        b'{"amount": 010}',
        b'{"amount": 0x10}',
        b'{"amount": +1}',
        b'{"amount": 1_000}',
        b'{"amount": "1"}{"amount": "2"}',
        b'{"amount": "1"} x',
        b'{"amount": "1"}\x00',
        b'{"amount": "1",}',
        b'{"amount": "1" /* "2" */}',
        b"{'amount': '1'}",
        b'{"amount": "1\n"}',
        b'{"amount": "1"}\xc2\xa0',
        b'[{"amount": "1"}]',
        b'"amount"',
        b"null",
        b" ",
        b"{" + b'"a":{' * 20_000,
        b'{"note": "' + b"x" * 70_000 + b'"}',
    ],
    ids=lambda body: ascii(body[:40]) + str(len(body)),
)
def test_json_that_two_readers_read_differently(body):
    with pytest.raises(BindingError):
        json_of(body)


@pytest.mark.parametrize(
    "body",
    [
        b"amount=1&amount=2",
        b"amount=1&%61mount=2",
        b"amount=1&Amount=2",
        b"amount=1&&payee=x",
        b"&amount=1",
        b"amount=1&",
        b"amount",
        b"=1",
        b"amount=1;amount=2",
        b"amount=1=2",
        b"amount=%ff",
        b"amount=%ed%a0%80",
        b"amount=%zz",
        b"amount=%",
        b"amount=%u0031",
        b"amount=1%00",
        b"amount=\xc3\xa9",
        b"amount=1 2",
        b"amount=1\n",
        b"amount[]=1",
        b"\xef\xbb\xbfamount=1",
        b"?amount=1",
        b'{"amount":"1"}',
    ],
    ids=ascii,
)
def test_a_form_that_two_readers_read_differently(body):
    with pytest.raises(BindingError):
        form_of(body)


def test_a_member_inside_another_does_not_count():
    assert json_of(b'{"order": {"amount": "1"}, "amount": "2"}') == {
        "order": {"amount": "1"},
        "amount": "2",
    }


def test_a_plus_is_a_space_in_a_form_and_a_plus_in_json():
    assert form_of(b"payee=a+b%2Bc%20d") == {"payee": "a b+c d"}
    assert json_of(b'{"payee": "a+b%2Bc"}') == {"payee": "a+b%2Bc"}


def test_a_fraction_is_left_to_whoever_does_not_bind_it():
    assert json_of(b'{"rate": 0.5, "large": 1e2, "pair": "\\ud83d\\ude00"}') == {
        "rate": 0.5,
        "large": 100.0,
        "pair": "\U0001f600",
    }


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
values = st.recursive(
    leaves,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(max_size=4), values, max_size=4)


@st.composite
def damaged(draw, texts):
    """A good body with a few bytes changed, as an attacker looking for a gap would do."""
    body = bytearray(draw(texts))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b'"', b",", b"{", b"}", b"\\", b"e9", b"-", b".5", b"&", b"=", b"%",
                             b"+", b";", b"\xef\xbb\xbf", b"\xff", b"\x00", b" ", b"0", b"NaN"])
        )  # fmt: skip
    return bytes(body)


@given(
    damaged(
        st.builds(
            lambda d, a: json.dumps(d, ensure_ascii=a).encode("utf-8", "surrogatepass"),
            documents,
            st.booleans(),
        )
    )
)
@example(b'{"a": 1E2, "b": 5e-324, "c": 1.7976931348623157e308, "d": -0.0}')
def test_litestar_reads_the_same_json_or_none(body):
    try:
        read = json_of(body)
    except BindingError:
        return
    if body:
        assert msgspec.json.decode(body) == read == json.loads(body)


@given(
    damaged(
        st.builds(
            lambda d: urlencode(d).encode(),
            st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
                st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
                max_size=4,
            ),
        )
    )
)
def test_litestar_reads_the_same_form_or_none(body):
    try:
        read = form_of(body)
    except BindingError:
        return
    assert parse_url_encoded_form_data(body) == read
