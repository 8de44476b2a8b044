import base64
import hashlib

import cbor2
import pytest

from stepup.demo.authenticator import AuthenticatorApp, Passkey, decode, encode
from stepup.demo.headless_browser import Page
from stepup.demo.load import percentiles


def test_codes_are_those_of_rfc_6238():
    app = AuthenticatorApp()
    app._secret = b"12345678901234567890"
    # RFC 6238 appendix B, the last six of eight digits.
    assert [app.code(at) for at in (59, 1111111109, 1234567890, 20000000000)] == [
        "287082",
        "081804",
        "005924",
        "353130",
    ]
    assert base64.b32decode(app.provisioning()["secret"]) == app._secret


def test_the_public_key_is_cose():
    key = cbor2.loads(decode(Passkey().provisioning()["public_key"]))
    assert {k: v for k, v in key.items() if k > -2} == {1: 2, 3: -7, -1: 1}
    assert len(key[-2]) == len(key[-3]) == 32


def test_the_answer_is_bound_to_the_relying_party():
    answer = Passkey().answer({"challenge": "AAAA", "rpId": "localhost"}, "http://localhost")
    data = decode(answer["response"]["authenticatorData"])
    assert data[:32] == hashlib.sha256(b"localhost").digest()
    assert data[32] == 0x1D
    assert encode(decode("-_8")) == "-_8"


def test_reads_the_form_that_posts_to_a_place():
    page = Page(
        '<form action="/c/1/code"><input type="hidden" name="a" value="1"></form>'
        '<form action="/c/1/cancel"><input type="hidden" name="b" value="2"></form>'
        '<script type="application/json" data-su-options>{"x": 1}</script>'
    )
    assert page.form("cancel") == ("/c/1/cancel", {"b": "2"})
    assert page.options == {"x": 1}
    with pytest.raises(LookupError):
        page.form("passkey")


def test_percentiles_of_few():
    assert percentiles([]) == {}
    assert percentiles([3.0, 1.0, 2.0]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
