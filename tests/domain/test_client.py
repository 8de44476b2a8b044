"""Where a client may be redirected to."""

import pytest

from stepup.domain.client import Client
from stepup.domain.ids import ClientId


def redirects(registered: str, asked: str) -> bool:
    client = Client(client_id=ClientId("app"), name="App", redirect_uris=(registered,))
    return client.redirects_to(asked)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("https://app.example/cb", "https://app.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52044/cb"),
        ("http://127.0.0.1:1/cb?a=b", "http://127.0.0.1:2/cb?a=b"),
        ("http://[::1]/cb", "http://[::1]:52044/cb"),
        ("http://127.0.0.1", "http://127.0.0.1:52044"),
    ],
)
def test_accepts_what_is_registered_and_any_port_of_a_loopback_literal(registered, asked):
    assert redirects(registered, asked)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("https://app.example/cb", "https://app.example/cb/"),
        ("https://app.example/cb", "https://app.example:8443/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52044/other"),
        ("http://127.0.0.1/cb", "http://[::1]:52044/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1:52044/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52044@evil.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52044/cb#fragment"),
        ("http://localhost/cb", "http://localhost:52044/cb"),
        ("http://127.0.0.1", "http://127.0.0.1:52044\n"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:52044/cb\n"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:\N{ARABIC-INDIC DIGIT ONE}/cb"),
    ],
    ids=ascii,
)
def test_accepts_nothing_else(registered, asked):
    assert not redirects(registered, asked)
