"""Who signs: for each use, algorithm and region one key, and another while there is none yet."""

import pytest

from stepup.domain.ids import KeyId
from stepup.domain.keyring import (
    DEFAULT_ALGORITHMS,
    SIGNING_USES,
    KeyPlan,
    Keyring,
    KeyState,
    KeyUse,
    Ring,
    SigningKey,
)

ACTIVE, ANNOUNCED = KeyState.ACTIVE, KeyState.ANNOUNCED
TOKEN, ID_TOKEN, SET = KeyUse.TOKEN, KeyUse.ID_TOKEN, KeyUse.SET
PLAN = KeyPlan(region="r1")


def a_key(
    use: KeyUse, algorithm: str = "ES256", state: KeyState = ACTIVE, region: str = "r1"
) -> SigningKey:
    return SigningKey(
        id=KeyId(f"{use} {algorithm} {region} {state}"),
        use=use,
        algorithm=algorithm,
        region=region,
        state=state,
        public_jwk={},
        private_key=None,
    )


def a_ring(*keys: SigningKey, plan: KeyPlan = PLAN) -> Keyring:
    return Keyring(keys=keys, root=b"", plan=plan)


WHOLE = a_ring(*(a_key(ring.use, ring.algorithm) for ring in PLAN.rings))
TABLE = {
    "an access token": (WHOLE, TOKEN, None, "token ES256 r1 active"),
    "an ID token": (WHOLE, ID_TOKEN, None, "id_token ES256 r1 active"),
    "an ID token as the client registered": (WHOLE, ID_TOKEN, "RS256", "id_token RS256 r1 active"),
    "a SET": (WHOLE, SET, None, "set RS256 r1 active"),
    "an introspection answer": (
        WHOLE,
        KeyUse.INTROSPECTION,
        None,
        "introspection RS256 r1 active",
    ),
    "another algorithm": (WHOLE, TOKEN, "RS256", None),
    "an announced key signs nothing": (a_ring(a_key(TOKEN, state=ANNOUNCED)), TOKEN, None, None),
    "of two regions the own one": (
        a_ring(a_key(TOKEN, region="a"), a_key(TOKEN)),
        TOKEN,
        None,
        "token ES256 r1 active",
    ),
    "a region without a key signs with another's": (
        a_ring(a_key(TOKEN, region="r2"), a_key(TOKEN, state=ANNOUNCED)),
        TOKEN,
        None,
        "token ES256 r2 active",
    ),
    "a key of a release without regions": (
        a_ring(a_key(TOKEN, region="")),
        TOKEN,
        None,
        "token ES256  active",
    ),
    "a use without a key signs with the one for access tokens": (
        a_ring(a_key(TOKEN), a_key(KeyUse.STATUS_LIST, state=ANNOUNCED)),
        KeyUse.STATUS_LIST,
        None,
        "token ES256 r1 active",
    ),
    "by its preferred algorithm before its own key of another": (
        a_ring(a_key(TOKEN), a_key(ID_TOKEN, "RS256")),
        ID_TOKEN,
        None,
        "token ES256 r1 active",
    ),
    "and with none of another algorithm": (a_ring(a_key(TOKEN)), SET, None, None),
    "an algorithm that the settings name anew waits for its key": (
        a_ring(
            a_key(TOKEN),
            a_key(TOKEN, "RS256", ANNOUNCED),
            plan=KeyPlan(region="r1", algorithms={TOKEN: ("RS256",)}),
        ),
        TOKEN,
        None,
        "token ES256 r1 active",
    ),
    "and then signs": (
        a_ring(
            a_key(TOKEN),
            a_key(TOKEN, "RS256"),
            plan=KeyPlan(region="r1", algorithms={TOKEN: ("RS256",)}),
        ),
        TOKEN,
        None,
        "token RS256 r1 active",
    ),
    "no other use lends its key": (a_ring(a_key(ID_TOKEN), a_key(SET)), TOKEN, None, None),
    "the root secret signs nothing": (WHOLE, KeyUse.ROOT, None, None),
}


@pytest.mark.parametrize(("ring", "use", "algorithm", "expected"), TABLE.values(), ids=TABLE)
def test_who_signs(ring: Keyring, use: KeyUse, algorithm: str | None, expected: str | None):
    if expected is None:
        with pytest.raises(LookupError, match="no active"):
            ring.signer(use, algorithm)
    else:
        assert ring.signer(use, algorithm).id == expected


def test_every_key_that_is_not_gone_is_published():
    keys = [a_key(TOKEN, state=state) for state in KeyState]
    published = {key.state for key in a_ring(*keys).published}
    assert published == set(KeyState) - {KeyState.GONE}


def test_no_key_for_another_use_verifies_an_access_token():
    for use in set(SIGNING_USES) - {TOKEN}:
        key = a_key(use)
        assert a_ring(key).find(key.id, TOKEN) is None
        assert a_ring(key).find(key.id) is key


def test_what_a_key_signed_in_place_of_another_verifies():
    key = a_key(TOKEN)
    for use in SIGNING_USES:
        assert a_ring(key).find(key.id, use) is key
    assert a_ring(key).find("unknown", TOKEN) is None


def test_oidc_discovery_3_id_tokens_can_be_signed_with_rs256():
    assert "RS256" in DEFAULT_ALGORITHMS[ID_TOKEN]


def test_caep_interop_2_6_security_events_are_signed_with_rs256_alone():
    assert DEFAULT_ALGORITHMS[SET] == ("RS256",)


def test_a_plan_names_the_rings_of_its_region():
    assert PLAN.ring(ID_TOKEN) == Ring(ID_TOKEN, "ES256", "r1")
    assert PLAN.ring(ID_TOKEN, "RS256") in PLAN.rings
    for use, algorithm in ((ID_TOKEN, "EdDSA"), (KeyUse.ROOT, None)):
        with pytest.raises(LookupError, match="no ring"):
            PLAN.ring(use, algorithm)
