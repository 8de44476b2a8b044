"""Clients with keys and certificates, against the service in two processes."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from stepup.crypto.digests import encode
from tests.support.assertions import JWK, assertion, form_of
from tests.support.certificates import DAY, Issued, issue
from tests.support.service import RunningService, running_service

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

NOW = datetime.now(UTC)
HEADER = "X-Client-Cert"


@pytest.fixture(scope="module")
def mine() -> Issued:
    return issue(since=NOW - DAY, until=NOW + DAY)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(subject="CN=Authority", ca=True, uses=(), since=NOW - DAY, until=NOW + DAY)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, mine: Issued, authority: Issued
) -> Iterator[RunningService]:
    folder: Path = tmp_path_factory.mktemp("clients")
    numbers = mine.key.public_key().public_numbers()
    certified = {
        "kty": "EC",
        "crv": "P-256",
        "x": encode(numbers.x.to_bytes(32, "big")),
        "y": encode(numbers.y.to_bytes(32, "big")),
    }
    clients = [
        {
            "client_id": "shop",
            "roles": ["rp"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [JWK]},
        },
        {
            "client_id": "mill",
            "roles": ["rp"],
            "token_endpoint_auth_method": "self_signed_tls_client_auth",
            "jwks": {"keys": [certified]},
        },
        {
            "client_id": "bakery",
            "roles": ["rp"],
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_san_dns": "bank.example",
        },
    ]
    listed = folder / "clients.json"
    listed.write_text(json.dumps(clients))
    trusted = folder / "authorities.pem"
    trusted.write_text(authority.pem)
    arguments = ["--no-demo", "--workers", "2", "--clients", str(listed)]
    arguments += ["--set", "trusted_proxies=127.0.0.1"]
    arguments += ["--set", f"client_certificate_header={HEADER}"]
    arguments += ["--set", f"client_certificate_authorities={trusted}"]
    with running_service(folder, *arguments) as running:
        yield running


def revoke(service: RunningService, form: dict, *, source: str = "127.0.0.1", **more) -> int:
    # A connection of its own each, so that both processes are asked.
    transport = httpx2.HTTPTransport(local_address=source)
    with httpx2.Client(transport=transport, timeout=10) as client:
        url = f"{service.origin}/oauth2/revoke"
        return client.post(url, data={"token": "x"} | form, **more).status_code


def fresh(service: RunningService, jti: str) -> str:
    at = int(time.time())
    return assertion(aud=service.issuer, iat=at, exp=at + 60, jti=jti)


def test_assertion_replay_across_processes_is_refused(service):
    text = fresh(service, "raced")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: revoke(service, form_of(text)), range(16)))

    assert sorted(answers) == [200] + [401] * 15
    assert revoke(service, form_of(fresh(service, "another"))) == 200


def test_a_certificate_is_believed_from_the_proxy_alone(service, mine):
    shown = {HEADER: mine.escaped.decode()}
    form = {"client_id": "mill"}

    assert revoke(service, form, headers=shown) == 200
    assert revoke(service, form) == 401
    # Header forgery by a direct caller, who may also claim to speak for the proxy.
    assert revoke(service, form, headers=shown, source="127.0.0.2") == 401
    claiming = shown | {"x-forwarded-for": "127.0.0.1"}
    assert revoke(service, form, headers=claiming, source="127.0.0.2") == 401
    stranger = {HEADER: issue(since=NOW - DAY, until=NOW + DAY).escaped.decode()}
    assert revoke(service, form, headers=stranger) == 401


def test_an_authority_is_believed_and_nobody_who_calls_himself_so(service, authority):
    for issuer, expected in ((authority, 200), (None, 401)):
        leaf = issue(issuer, since=NOW - DAY, until=NOW + DAY)
        shown = {HEADER: leaf.rfc9440.decode()}
        assert revoke(service, {"client_id": "bakery"}, headers=shown) == expected


def test_a_registered_client_is_known_to_every_process_within_seconds(service):
    path = f"{service.origin}/v1/admin/clients"
    made = httpx2.post(
        path, json={"client_id": "desk", "roles": ["rp"]}, headers=service.admin, trust_env=False
    )
    assert made.status_code == 201
    secret = made.json()["client_secret"]

    def answers() -> set[int]:
        with ThreadPoolExecutor(8) as threads:
            return set(threads.map(lambda _: revoke(service, {}, auth=("desk", secret)), range(16)))

    _within(2, lambda: answers() == {200})
    httpx2.post(f"{path}/desk/disable", headers=service.admin, trust_env=False)
    _within(2, lambda: answers() == {401})
    assert secret not in service.log.read_text()


def _within(seconds: float, holds) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
