"""The certificate header: believed from the proxies, from nobody else."""

import pytest
from litestar import Request

from stepup.domain.errors import InvalidRequestError
from stepup.http.client_certificate import CertificatesFromProxies, certificate_of
from tests.support.certificates import issue

MINE = issue()


async def heard(
    *values: bytes, peer: tuple[str, int] | None = ("10.0.0.9", 5), header: str = "X-Client-Cert"
) -> Request:
    seen = []

    async def app(scope, _receive, _send):
        seen.append(Request(scope))

    scope = {
        "type": "http",
        "headers": [(b"host", b"x"), *((b"x-client-cert", value) for value in values)],
        "client": peer,
        "extensions": {"other": {}},
    }
    await CertificatesFromProxies(app, header, ["10.0.0.0/24", "::1"])(scope, None, None)
    return seen[0]


async def test_a_proxy_is_believed():
    request = await heard(MINE.escaped)

    assert certificate_of(request).der == MINE.der
    assert "x-client-cert" not in request.headers


@pytest.mark.parametrize("peer", [("192.0.2.1", 5), ("10.0.1.9", 5), ("unix", 0), None])
async def test_header_forgery_by_a_direct_caller_is_not_heard(peer):
    request = await heard(MINE.escaped, peer=peer)

    assert certificate_of(request) is None
    assert "x-client-cert" not in request.headers


async def test_without_the_setting_the_header_says_nothing():
    scope = {"type": "http", "headers": [(b"x-client-cert", MINE.escaped)], "client": ("::1", 1)}

    assert certificate_of(Request(scope)) is None


@pytest.mark.parametrize("values", [(), (b"",)])
async def test_a_client_without_a_certificate(values):
    assert certificate_of(await heard(*values)) is None


@pytest.mark.parametrize("values", [(b"rubbish",), (MINE.escaped, MINE.escaped), (b"", b"")])
async def test_what_cannot_be_read_is_refused(values):
    request = await heard(*values)

    with pytest.raises(InvalidRequestError):
        certificate_of(request)
