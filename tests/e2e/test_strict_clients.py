"""Clients that nobody here wrote, and that accept nothing a standard does not allow.

Each goes the whole way with the service as an operator starts it: metadata, a pushed or a signed
request, the answer, tokens, userinfo, introspection, refresh, revocation.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.strict_clients import Plan, Somebody, registered
from tests.support.service import RunningService, running_service

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

LEVEL = "phr"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that wants a nonce in each DPoP proof, so that clients have to ask twice."""
    folder: Path = tmp_path_factory.mktemp("strict")
    with running_service(folder, "--set", "dpop_nonce=required") as running:
        yield running


@pytest.fixture(scope="module")
def alice(service: RunningService) -> Somebody:
    return Somebody(service, "alice")


def check_the_way(done: dict, plan: Plan) -> None:
    """Look at what the client took for good, and at what only we know of it."""
    claims, granted = done["claims"], done["granted"]
    assert claims["acr"] == LEVEL
    assert claims["aud"] == plan.client_id
    assert {"hwk", "user"} & set(claims["amr"]) or "mfa" in claims["amr"]
    assert done["userinfo"]["sub"] == claims["sub"]
    assert granted["token_type"] == ("dpop" if plan.dpop else "bearer")
    if not plan.dpop:
        assert done["access"]["acr"] == LEVEL
        assert done["access"]["auth_time"] == claims["auth_time"]
    if plan.refreshes:
        assert done["refreshed"]["refresh_token"] != granted["refresh_token"]
        assert done["refreshedClaims"]["auth_time"] == claims["auth_time"]
        assert done["refreshedClaims"]["acr"] == LEVEL
    if plan.authentication != "none":
        told = done["introspected"]
        assert told["active"]
        assert told["acr"] == LEVEL
        assert told["auth_time"] == claims["auth_time"]
        assert ("jkt" in told.get("cnf", {})) is (plan.dpop is not None)
        assert done["introspectedSigned"] == told
        assert done["afterwards"] == {"active": False}


PLANS = {
    "a secret in the header": Plan(authentication="client_secret_basic"),
    "a secret in the body": Plan(authentication="client_secret_post"),
    "a key, DPoP and refresh": Plan(authentication="private_key_jwt", dpop="ES256", refreshes=True),
    "a key and a request object in front": Plan(
        authentication="private_key_jwt", pushed=False, signed=True
    ),
    "a key and a pushed request object": Plan(
        authentication="private_key_jwt", signed=True, refreshes=True
    ),
    "a request that is not pushed": Plan(authentication="client_secret_basic", pushed=False),
    "a public client": Plan(authentication="none", dpop="ES256", refreshes=True),
    "FAPI 2.0": Plan(authentication="private_key_jwt", dpop="ES256", profile="fapi2"),
    "FAPI 2.0 with PS256": Plan(
        authentication="private_key_jwt", dpop="PS256", profile="fapi2", key="PS256"
    ),
    "FAPI 2.0 with Ed25519": Plan(
        authentication="private_key_jwt", dpop="Ed25519", profile="fapi2", key="EdDSA"
    ),
    "RSA": Plan(authentication="private_key_jwt", key="RS256"),
    "found by RFC 8414": Plan(authentication="client_secret_basic", discovery="oauth2"),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
async def test_oauth4webapi_goes_the_whole_way(service: RunningService, alice: Somebody, plan):
    plan = registered(service, plan)
    done = await alice.lets(plan)
    check_the_way(done, plan)
    # One refusal for each party that had given no nonce yet.
    assert bool(done["nonces"]) is (plan.dpop is not None)


async def test_oauth4webapi_is_told_that_nothing_can_be_shown(service, alice):
    plan = registered(
        service, Plan(authentication="client_secret_basic", request={"prompt": "none"})
    )
    assert await alice.lets(plan) == {"refused": "login_required"}
