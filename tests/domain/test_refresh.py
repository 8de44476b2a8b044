"""What a refresh may give: tables of who, how much and until when."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Amr, Ladder, Level
from stepup.domain.client import Client
from stepup.domain.client_authentication import AuthMethod, Profile
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import InvalidGrantError, InvalidScopeError, InvalidTargetError
from stepup.domain.ids import ChallengeId, ClientId, Subject
from stepup.domain.refresh import (
    LONGEST_REFRESH,
    RefreshGrant,
    granted_scope,
    refresh_until,
)
from tests.support.builders import a_purpose, a_requirement, an_authorization
from tests.support.determinism import NOON

MINUTE = timedelta(minutes=1)
BANK = Client(client_id=ClientId("bank"), name="Bank", refresh_tokens=True)
KEY, OTHER_KEY = Confirmation(jkt="k1"), Confirmation(jkt="k2")
CERTIFICATE = Confirmation(x5t_s256="c1")
LADDER = Ladder(
    (*DEFAULT_LADDER.levels, Level(acr=Acr("day"), any_of=(), max_age=timedelta(hours=24)))
)
GRANT = RefreshGrant(
    challenge_id=ChallengeId("r1.x"),
    client_id=ClientId("bank"),
    is_public=False,
    subject=Subject("https://idp.example", "alice"),
    audience="bank-api",
    scope="openid accounts offline_access",
    acr=Acr("phr"),
    amr=(Amr("hwk"),),
    auth_time=NOON,
    expires_at=NOON + 10 * MINUTE,
    token_lifetime=2 * MINUTE,
)


def asking(**changes: object):
    """A request for a level alone, with a refresh token."""
    fields: dict = {
        "purpose": None,
        "requirement": a_requirement(max_age=None, once=False),
        "scope": "openid offline_access",
    }
    return an_authorization(**fields | changes)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, "openid accounts offline_access"),
        ("accounts", "accounts"),
        ("accounts openid", "openid accounts"),
        ("openid accounts offline_access", "openid accounts offline_access"),
    ],
)
def test_rfc6749_6_a_scope_may_be_narrowed(asked, given):
    assert GRANT.narrowed(asked) == given


@pytest.mark.parametrize("asked", ["payments", "openid payments", "", "OPENID", "accounts  openid"])
def test_rfc6749_6_a_scope_must_not_include_any_that_was_not_granted(asked):
    with pytest.raises(InvalidScopeError):
        GRANT.narrowed(asked)


def test_rfc8707_2_2_a_refresh_is_for_the_resource_that_was_granted():
    GRANT.check_audience(None)
    GRANT.check_audience("bank-api")
    with pytest.raises(InvalidTargetError):
        GRANT.check_audience("other-api")


@pytest.mark.parametrize(
    ("public", "bound_to", "proof", "good"),
    [
        (False, None, None, True),
        (False, None, KEY, True),
        (False, KEY, KEY, True),
        (False, KEY, OTHER_KEY, True),
        (False, KEY, CERTIFICATE, True),
        (False, KEY, None, False),
        (True, None, None, True),
        (True, KEY, KEY, True),
        (True, KEY, OTHER_KEY, False),
        (True, KEY, CERTIFICATE, False),
        (True, KEY, None, False),
        (True, CERTIFICATE, CERTIFICATE, True),
        (True, CERTIFICATE, KEY, False),
    ],
)
def test_rfc9449_5_who_may_use_it(public, bound_to, proof, good):
    grant = msgspec.structs.replace(GRANT, is_public=public, confirmation=bound_to)
    if good:
        grant.check_holder(BANK, proof)
        return
    with pytest.raises(InvalidGrantError):
        grant.check_holder(BANK, proof)


def test_rfc6749_6_it_is_bound_to_the_client_it_was_issued_to():
    with pytest.raises(InvalidGrantError):
        GRANT.check_holder(msgspec.structs.replace(BANK, client_id=ClientId("shop")), None)


@pytest.mark.parametrize(
    ("authorization", "lifetime"),
    [
        # The level's own: fifteen minutes.
        (asking(), 15 * MINUTE),
        (asking(requirement=a_requirement(acr=Acr("phr"), max_age=None, once=False)), 10 * MINUTE),
        (
            asking(requirement=a_requirement(acr=Acr("day"), max_age=None, once=False)),
            LONGEST_REFRESH,
        ),
        (asking(requirement=a_requirement(acr=Acr("gone"), max_age=None, once=False)), None),
        (asking(requirement=a_requirement(max_age=5 * MINUTE, once=False)), 5 * MINUTE),
        (asking(max_age=60), MINUTE),
        (
            asking(max_age=600, requirement=a_requirement(max_age=MINUTE, once=False)),
            MINUTE,
        ),
        (asking(max_age=10**8), 15 * MINUTE),
        # An authentication of this very moment cannot be had again.
        (asking(max_age=0), None),
        (asking(requirement=a_requirement(max_age=timedelta(0), once=False)), None),
        # OpenID Connect Core section 11: only where it was asked for.
        (asking(scope="openid"), None),
        (asking(scope=None), None),
        (asking(scope="openid offline_access2"), None),
        # An approval of something is not given twice.
        (asking(purpose=a_purpose()), None),
        (asking(requirement=a_requirement(max_age=None, once=True)), None),
        (
            asking(requirement=a_requirement(max_age=None, once=False, bind=frozenset({"amount"}))),
            None,
        ),
    ],
)
def test_until_when_a_ceremony_may_be_refreshed(authorization, lifetime):
    until = refresh_until(BANK, authorization, NOON, LADDER)
    assert until == (None if lifetime is None else NOON + lifetime)


@pytest.mark.parametrize(
    "changes",
    [
        {"refresh_tokens": False},
        # FAPI 2.0 section 5.3.2.1: no rotation, so none at all.
        {"profile": Profile.FAPI2},
    ],
)
def test_only_clients_that_were_given_leave_get_one(changes):
    client = msgspec.structs.replace(BANK, **changes)
    assert refresh_until(client, asking(), NOON, LADDER) is None


def test_a_public_client_may_have_one():
    public = msgspec.structs.replace(BANK, auth_method=AuthMethod.NONE)
    assert refresh_until(public, asking(), NOON, LADDER) == NOON + 15 * MINUTE


@pytest.mark.parametrize(
    ("issued_after", "lives"),
    [(0 * MINUTE, 2 * MINUTE), (8 * MINUTE, 2 * MINUTE), (9 * MINUTE, MINUTE)],
)
def test_rfc9470_6_1_no_access_token_outlives_its_authentication(issued_after, lives):
    issued_at = NOON + issued_after
    assert GRANT.token_expires_at(issued_at) - issued_at == lives


@pytest.mark.parametrize(
    ("asked", "refreshed", "granted"),
    [
        (None, False, None),
        ("openid", False, "openid"),
        ("openid offline_access", True, "openid offline_access"),
        ("openid offline_access", False, "openid"),
        ("offline_access", False, None),
    ],
)
def test_a_scope_promises_no_refresh_token_that_is_not_there(asked, refreshed, granted):
    assert granted_scope(asked, refreshed=refreshed) == granted
