"""The life of a signing key: a table of moments, and what holds at every moment."""

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.ids import KeyId
from stepup.domain.key_life import (
    SHORTEST_ANNOUNCEMENT,
    KeyRules,
    KeyStep,
    StepKind,
    after,
    next_steps,
)
from stepup.domain.keyring import KeyPlan, KeyState, KeyUse, Ring, SealedKey
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from tests.support.determinism import NOON

HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
RULES = KeyRules(heard_within=HOUR)
BY_HAND = KeyRules(lifetime=timedelta(0), heard_within=HOUR)
AGREEMENT = RULES.agreement
PLAN = KeyPlan(region="r1", algorithms={KeyUse.TOKEN: ("ES256",)})
RING = PLAN.ring(KeyUse.TOKEN)


def a_key(name: str, state: KeyState, age: timedelta, **changes: object) -> SealedKey:
    """A key that came into its state so long before noon."""
    fields: dict = {
        "id": KeyId(name),
        "use": KeyUse.TOKEN,
        "algorithm": "ES256",
        "region": "r1",
        "state": state,
        "public_jwk": {},
        "sealed_private_key": b"",
        "created_at": NOON - age,
        "since": NOON - age,
    }
    return SealedKey(**fields | changes)


def active(age: timedelta = HOUR, **changes: object) -> SealedKey:
    return a_key("active", KeyState.ACTIVE, age, **changes)


def announced(age: timedelta = HOUR, **changes: object) -> SealedKey:
    return a_key("next", KeyState.ANNOUNCED, age, **changes)


def retiring(age: timedelta, **changes: object) -> SealedKey:
    return a_key("old", KeyState.RETIRING, age, **changes)


ROOT = a_key("root", KeyState.ACTIVE, 900 * DAY, use=KeyUse.ROOT)
ANNOUNCE = KeyStep(StepKind.ANNOUNCE, ring=RING)
PROMOTE = KeyStep(StepKind.PROMOTE, KeyId("next"))
CONDEMN, SPARE, REMOVE = (
    KeyStep(kind, KeyId("old")) for kind in (StepKind.CONDEMN, StepKind.SPARE, StepKind.REMOVE)
)
OLD_ENOUGH = RULES.retiring_for

TABLE = {
    "a key with a successor that is young": ([active(), announced()], RULES, ()),
    "without a successor": ([active()], RULES, (ANNOUNCE,)),
    "without a successor, by hand": ([active(900 * DAY)], BY_HAND, ()),
    "the root secret never moves": ([ROOT, active(), announced()], RULES, ()),
    "one moment before its lifetime": ([active(30 * DAY - TICK), announced(29 * DAY)], RULES, ()),
    "at the end of its lifetime": ([active(30 * DAY), announced(29 * DAY)], RULES, (PROMOTE,)),
    "old, with a successor that caches may lack": (
        [active(90 * DAY), announced(24 * HOUR - TICK)],
        RULES,
        (),
    ),
    "old, with one that they know": ([active(90 * DAY), announced(24 * HOUR)], RULES, (PROMOTE,)),
    "wanted, and known to caches": (
        [active(), announced(24 * HOUR, wanted_at=NOON)],
        RULES,
        (PROMOTE,),
    ),
    "wanted, and too young": ([active(), announced(23 * HOUR, wanted_at=NOON)], RULES, ()),
    "wanted by hand": ([active(), announced(DAY, wanted_at=NOON)], BY_HAND, (PROMOTE,)),
    "not wanted by hand": ([active(90 * DAY), announced(80 * DAY)], BY_HAND, ()),
    "of a release without moments": (
        [active(30 * DAY, since=None), announced(DAY)],
        RULES,
        (PROMOTE,),
    ),
    "nobody signs: better an unknown key than none": ([announced(TICK)], RULES, (PROMOTE,)),
    "nobody signs, and there is no other": ([retiring(HOUR)], BY_HAND, (ANNOUNCE,)),
    "one moment before a token may not be alive any more": (
        [active(), announced(), retiring(OLD_ENOUGH - TICK)],
        RULES,
        (),
    ),
    "no token can be alive": (
        [active(), announced(), retiring(OLD_ENOUGH)],
        RULES,
        (CONDEMN,),
    ),
    "the second look comes too soon": (
        [
            active(),
            announced(),
            retiring(OLD_ENOUGH + AGREEMENT, condemned_at=NOON - AGREEMENT + TICK),
        ],
        RULES,
        (),
    ),
    "the second look agrees": (
        [active(), announced(), retiring(OLD_ENOUGH + AGREEMENT, condemned_at=NOON - AGREEMENT)],
        RULES,
        (REMOVE,),
    ),
    "the second look does not agree": (
        [active(), announced(), retiring(HOUR, condemned_at=NOON - AGREEMENT)],
        RULES,
        (SPARE,),
    ),
    "a clock that went back makes nothing due": (
        [active(-DAY), announced(-DAY), retiring(-DAY)],
        RULES,
        (),
    ),
}


@pytest.mark.parametrize(("keys", "rules", "expected"), TABLE.values(), ids=TABLE)
def test_what_is_due(keys: list[SealedKey], rules: KeyRules, expected: tuple[KeyStep, ...]):
    assert next_steps(keys, NOON, rules, PLAN) == expected


RSA = Ring(KeyUse.ID_TOKEN, "RS256", "r1")
BOTH = KeyPlan(region="r1", algorithms={KeyUse.TOKEN: ("ES256",), KeyUse.ID_TOKEN: ("RS256",)})
OTHER_REGION = KeyPlan(region="r2", algorithms=PLAN.algorithms)
NOW_RSA = KeyPlan(region="r1", algorithms={KeyUse.TOKEN: ("RS256",)})
LIFETIME = RULES.lifetime


def id_key(state: KeyState, age: timedelta, **changes: object) -> SealedKey:
    return a_key("rsa", state, age, use=KeyUse.ID_TOKEN, algorithm="RS256", **changes)


def other_key(state: KeyState, age: timedelta, **changes: object) -> SealedKey:
    """Of region r2."""
    return a_key("other", state, age, region="r2", **changes)


def rsa_key(state: KeyState, age: timedelta) -> SealedKey:
    return a_key("rsa", state, age, algorithm="RS256")


def step(kind: StepKind, name: str, ring: Ring | None = None) -> KeyStep:
    return KeyStep(kind, KeyId(name), ring)


ADOPT, RETIRE, ANOTHER = StepKind.ADOPT, StepKind.RETIRE, StepKind.ANNOUNCE
WELL = [active(), announced()]
RINGS = {
    "a ring that is missing is announced": (WELL, BOTH, (KeyStep(ANOTHER, ring=RSA),)),
    "its first key is not promoted early": (
        [*WELL, id_key(KeyState.ANNOUNCED, RULES.published_before_use - TICK)],
        BOTH,
        (),
    ),
    "it is, when every cache knows it": (
        [*WELL, id_key(KeyState.ANNOUNCED, RULES.published_before_use)],
        BOTH,
        (step(StepKind.PROMOTE, "rsa"),),
    ),
    "a ring that lost its key waits like a new one": (
        [*WELL, id_key(KeyState.RETIRING, HOUR)],
        BOTH,
        (KeyStep(ANOTHER, ring=RSA),),
    ),
    "another ring's successor is none of ours": (
        [active(), id_key(KeyState.ACTIVE, HOUR), id_key(KeyState.ANNOUNCED, HOUR)],
        BOTH,
        (ANNOUNCE,),
    ),
    "keys of a release without regions are adopted, and then tended": (
        [active(region=""), retiring(OLD_ENOUGH, region="")],
        PLAN,
        (step(ADOPT, "active", RING), step(ADOPT, "old", RING), ANNOUNCE, CONDEMN),
    ),
    "not beside a key of the region": (
        [*WELL, a_key("k", KeyState.ACTIVE, HOUR, region="")],
        PLAN,
        (),
    ),
    "another region has rings of its own": (
        WELL,
        OTHER_REGION,
        (KeyStep(ANOTHER, ring=RING._replace(region="r2")),),
    ),
    "and waits with the first key as everybody does": (
        [*WELL, other_key(KeyState.ANNOUNCED, RULES.published_before_use - TICK)],
        OTHER_REGION,
        (),
    ),
    "it does not rotate ours": (
        [active(LIFETIME), announced(DAY), other_key(KeyState.ACTIVE, HOUR)],
        KeyPlan(region="r2", algorithms={}),
        (),
    ),
    "it removes ours, which time alone decides": (
        [retiring(OLD_ENOUGH)],
        KeyPlan(region="r2", algorithms={}),
        (CONDEMN,),
    ),
    "a region that is no more is wound up": (
        [*WELL, other_key(KeyState.ACTIVE, 2 * LIFETIME)],
        PLAN,
        (step(RETIRE, "other"),),
    ),
    "not one that rotates late": (
        [*WELL, other_key(KeyState.ACTIVE, 2 * LIFETIME - TICK)],
        PLAN,
        (),
    ),
    "nor where nobody signs in its place": (
        [other_key(KeyState.ACTIVE, 9 * LIFETIME), announced(HOUR)],
        PLAN,
        (),
    ),
    "another algorithm is announced, and the old key stays": (
        [active(LIFETIME), announced(DAY)],
        NOW_RSA,
        (KeyStep(ANOTHER, ring=RING._replace(algorithm="RS256")),),
    ),
    "what no setting names retires when it is old": (
        [
            active(LIFETIME),
            announced(HOUR),
            rsa_key(KeyState.ACTIVE, HOUR),
            rsa_key(KeyState.ANNOUNCED, HOUR),
        ],
        NOW_RSA,
        (step(RETIRE, "active"),),
    ),
    "its successor as well": (
        [announced(LIFETIME), rsa_key(KeyState.ACTIVE, HOUR), rsa_key(KeyState.ANNOUNCED, HOUR)],
        NOW_RSA,
        (step(RETIRE, "next"),),
    ),
}


@pytest.mark.parametrize(("keys", "plan", "expected"), RINGS.values(), ids=RINGS)
def test_what_is_due_in_other_rings(
    keys: list[SealedKey], plan: KeyPlan, expected: tuple[KeyStep, ...]
):
    assert next_steps(keys, NOON, RULES, plan) == expected


def test_by_hand_only_nothing_is_wound_up():
    keys = [*WELL, other_key(KeyState.ACTIVE, 900 * DAY)]
    assert next_steps(keys, NOON, BY_HAND, PLAN) == ()


def test_a_promotion_retires_nobody_in_another_ring():
    others = [id_key(KeyState.ACTIVE, HOUR), other_key(KeyState.ACTIVE, HOUR)]

    changed = after([active(), announced(), *others], PROMOTE, NOON)

    assert [key.id for key in changed] == ["active", "next"]


def test_an_adopted_key_is_the_same_in_a_region():
    [adopted] = after([active(region="")], step(ADOPT, "active", RING), NOON)

    assert adopted == active()


def test_promotion_retires_the_old_key_before_the_new_one_signs():
    changed = after([ROOT, active(), announced(), retiring(HOUR)], PROMOTE, NOON)

    assert [(key.id, key.state, key.since) for key in changed] == [
        ("active", KeyState.RETIRING, NOON),
        ("next", KeyState.ACTIVE, NOON),
    ]


def test_a_key_that_moved_has_no_mark_of_the_state_before():
    [_, promoted] = after([active(), announced(wanted_at=NOON)], PROMOTE, NOON)
    [removed] = after([retiring(DAY, condemned_at=NOON)], REMOVE, NOON)

    assert promoted.wanted_at is None
    assert removed.condemned_at is None


def test_a_step_of_a_key_that_is_not_there_changes_nothing():
    assert after([active()], PROMOTE, NOON) == []


def test_an_announcement_that_a_cache_could_outlive_is_refused():
    KeyRules(announced_for=SHORTEST_ANNOUNCEMENT)
    with pytest.raises(ValueError, match="at least"):
        KeyRules(announced_for=SHORTEST_ANNOUNCEMENT - TICK)


def test_a_key_is_published_for_as_long_as_anybody_may_sign_with_it_and_anybody_may_ask():
    assert RULES.heard_within + MAX_TOKEN_LIFETIME < RULES.retiring_for


class Life:
    """Keys under rules, looked at by many instances at moments that hypothesis picks."""

    def __init__(self, rules: KeyRules) -> None:
        self.rules = rules
        self.now = NOON
        self.keys = {"k0": a_key("k0", KeyState.ACTIVE, timedelta(0))}
        self.was_active: dict[str, datetime] = {"k0": NOON}

    def look(self) -> None:
        for step in next_steps(self.keys.values(), self.now, self.rules, PLAN):
            if step.kind is StepKind.ANNOUNCE:
                self.announce()
            for key in after(list(self.keys.values()), step, self.now):
                self.check(key)
                self.keys[key.id] = key

    def announce(self) -> None:
        name = f"k{len(self.keys)}"
        self.keys[name] = msgspec.structs.replace(
            a_key(name, KeyState.ANNOUNCED, timedelta(0)), created_at=self.now, since=self.now
        )

    def want(self) -> None:
        for key in list(self.keys.values()):
            if key.state is KeyState.ANNOUNCED:
                self.keys[key.id] = msgspec.structs.replace(key, wanted_at=self.now)
                return
        self.announce()
        self.want()

    def check(self, key: SealedKey) -> None:
        before = self.keys[key.id]
        if key.state is KeyState.ACTIVE:
            assert before.state is KeyState.ANNOUNCED
            age = self.now - before.created_at
            assert age >= self.rules.announced_for
            # Whoever asked the instance that heard of nothing for longest has asked again.
            assert age >= self.rules.heard_within + SHORTEST_ANNOUNCEMENT
        if key.state is KeyState.GONE:
            # The worst instance read its keys just before this one retired, signs for as long as
            # it may serve unheard, and a token of its last moment lives for as long as any.
            last_alive = before.stands_since + self.rules.heard_within + MAX_TOKEN_LIFETIME
            assert before.state is KeyState.RETIRING
            assert last_alive < self.now
            assert before.condemned_at is not None
            assert self.now - before.condemned_at >= self.rules.agreement

    def assert_one_is_active(self) -> None:
        assert [key.state for key in self.keys.values()].count(KeyState.ACTIVE) == 1


spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3))
rule_sets = st.builds(
    KeyRules,
    announced_for=st.timedeltas(min_value=SHORTEST_ANNOUNCEMENT, max_value=2 * DAY),
    lifetime=st.just(timedelta(0)) | st.timedeltas(min_value=HOUR, max_value=9 * DAY),
    heard_within=st.timedeltas(min_value=timedelta(0), max_value=2 * DAY),
)


@given(rule_sets, st.lists(st.tuples(spans, st.booleans()), max_size=60))
def test_at_every_moment_one_key_is_active_and_none_comes_or_goes_too_early(
    rules: KeyRules, moments: list[tuple[timedelta, bool]]
):
    life = Life(rules)
    for span, is_wanted in moments:
        life.now += span
        if is_wanted:
            life.want()
        life.look()
        life.assert_one_is_active()


@given(rule_sets, st.lists(spans, min_size=1, max_size=30))
def test_looking_twice_at_one_moment_takes_no_step_twice(rules: KeyRules, moments: list[timedelta]):
    life = Life(rules)
    for span in moments:
        life.now += span
        life.look()
        states = {key.id: key.state for key in life.keys.values()}
        life.look()
        assert states.items() <= {key.id: key.state for key in life.keys.values()}.items()


@given(st.integers(min_value=20, max_value=200))
def test_keys_do_not_pile_up(days: int):
    life = Life(KeyRules(lifetime=2 * DAY))
    for _ in range(days):
        life.now += 12 * HOUR
        life.look()
        published = [key for key in life.keys.values() if key.state is not KeyState.GONE]
        assert len(published) <= 4
