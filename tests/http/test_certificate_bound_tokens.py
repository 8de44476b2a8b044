"""A token that is bound to a certificate is good over connections with that certificate alone."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from stepup.http.client_certificate import CertificatesFromProxies
from tests.http.flow import BANK, Flow, code_in
from tests.support.application import calling
from tests.support.certificates import issue
from tests.support.one_app import app_of
from tests.support.vectors import load
from tests.support.world import BANK_CALLBACK, World

HEADER = "x-client-cert"
MTLS = load("oauth-rfc-examples")["mtls_rfc8705_appendix_a"]
CERTIFICATE, THUMBPRINT = MTLS["certificate_der_b64"], MTLS["x5t#S256"]
USERINFO = "/oauth2/userinfo"


@pytest.fixture
async def tls(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """The service behind a proxy that passes certificates on; the bank's tokens are bound."""
    world.bank = world.add_client(
        "bank", redirect_uris=(BANK_CALLBACK,), audiences=("bank-api",), tls_bound=True
    )
    app = CertificatesFromProxies(app_of(world.ports), HEADER, ["127.0.0.1/32"])
    async with calling(app) as client:
        yield client


@pytest.fixture
async def code(tls: httpx2.AsyncClient, world: World) -> str:
    await world.enroll_app()
    flow = Flow(tls, world)
    pushed = await flow.push(await flow.ticket(), scope="openid")
    where = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    return code_in(await flow.type_code(where, world.code()))


async def show(tls: httpx2.AsyncClient, token: str, certificate: str | None):
    headers = {"authorization": f"Bearer {token}"}
    if certificate is not None:
        headers[HEADER] = certificate
    return await tls.get(USERINFO, headers=headers)


async def test_rfc8705_3_a_token_is_bound_to_the_client_s_certificate(
    tls: httpx2.AsyncClient, world: World, code: str
):
    redeemed = (await Flow(tls, world).redeem(code, headers={HEADER: CERTIFICATE})).json()

    # RFC 8705 section 3: it is shown as a bearer token.
    assert redeemed["token_type"] == "Bearer"
    flow = Flow(tls, world)
    form = {"token": redeemed["access_token"]}
    told = (await flow.http.post("/oauth2/introspect", data=form, auth=BANK)).json()
    assert told["cnf"] == {"x5t#S256": THUMBPRINT}


async def test_rfc8705_3_no_token_for_a_bound_client_without_a_certificate(
    tls: httpx2.AsyncClient, world: World, code: str
):
    refused = await Flow(tls, world).redeem(code)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    again = await Flow(tls, world).redeem(code, headers={HEADER: CERTIFICATE})
    assert again.status_code == 200


async def test_rfc8705_3_refuses_the_token_with_another_certificate_or_none(
    tls: httpx2.AsyncClient, world: World, code: str
):
    redeemed = await Flow(tls, world).redeem(code, headers={HEADER: CERTIFICATE})
    token = redeemed.json()["access_token"]

    assert (await show(tls, token, CERTIFICATE)).json()["sub"] == "alice"
    for certificate in (None, issue().rfc9440.decode()):
        answer = await show(tls, token, certificate)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
