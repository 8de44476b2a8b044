"""Where a page's form may lead, and what never enters a header."""

import pytest

from stepup.http.headers import StandardHeaders, page_policy


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://bank.example/callback?x=1", "https://bank.example"),
        ("http://127.0.0.1:8002/callback", "http://127.0.0.1:8002"),
        ("http://[::1]:8002/callback", "http://[::1]:8002"),
        ("com.bank.app:/callback", "com.bank.app:"),
    ],
)
def test_a_form_may_end_at_the_client_s_origin(uri, source):
    assert f"form-action 'self' {source};" in page_policy(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "https://bank.example;script-src *",
        "https://bank.example, default-src *",
        "https://bank.example\r\nset-cookie: a=b/",
        "https://user@bank.example/",
        "no-scheme",
        "",
    ],
)
def test_a_redirect_uri_that_would_add_a_directive_is_refused(uri):
    with pytest.raises(ValueError, match="no origin"):
        page_policy(uri)


def test_plain_http_promises_no_tls():
    names = [name for name, _ in StandardHeaders(secure=False).added_to([])]

    assert b"strict-transport-security" not in names
