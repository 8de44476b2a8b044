"""Several demands become one: the strictest of each part."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Method
from stepup.domain.requirement import OnUnenrolled, Requirement, strictest
from tests.domain.strategies import requirements

LEVEL_2, PHR = Acr("urn:stepup:acr:2"), Acr("phr")
BASE = Requirement(acr=LEVEL_2)


@pytest.mark.parametrize(
    ("field", "ours", "theirs", "joined"),
    [
        pytest.param("acr", LEVEL_2, PHR, PHR, id="the higher level"),
        pytest.param("acr", PHR, LEVEL_2, PHR, id="never the lower level"),
        pytest.param("max_age", None, timedelta(1), timedelta(1), id="some age before any age"),
        pytest.param("max_age", timedelta(0), None, timedelta(0), id="no age at all before any"),
        pytest.param("max_age", timedelta(2), timedelta(1), timedelta(1), id="the lower age"),
        pytest.param("once", False, True, True, id="once if any says once"),
        pytest.param(
            "methods", None, frozenset({Method.TOTP}), frozenset({Method.TOTP}), id="named methods"
        ),
        pytest.param(
            "methods",
            frozenset({Method.TOTP, Method.WEBAUTHN}),
            frozenset({Method.WEBAUTHN, Method.SMS}),
            frozenset({Method.WEBAUTHN}),
            id="methods that both allow",
        ),
        pytest.param(
            "bind", frozenset("a"), frozenset("b"), frozenset("ab"), id="what either binds"
        ),
        pytest.param("display", ("b", "a"), ("a", "c"), ("b", "a", "c"), id="what either shows"),
        pytest.param(
            "token_lifetime",
            timedelta(minutes=10),
            timedelta(minutes=1),
            timedelta(minutes=1),
            id="the shorter life",
        ),
        pytest.param("audience", None, "theirs", "theirs", id="an audience if we have none"),
        pytest.param("audience", "ours", "theirs", "ours", id="our audience otherwise"),
        pytest.param(
            "on_unenrolled",
            OnUnenrolled.ENROLL,
            OnUnenrolled.DENY,
            OnUnenrolled.DENY,
            id="deny before enroll",
        ),
    ],
)
def test_takes_the_strictest_of_each_part(field, ours, theirs, joined):
    first = msgspec.structs.replace(BASE, **{field: ours})
    second = msgspec.structs.replace(BASE, **{field: theirs})

    assert getattr(first.raised_by(second, DEFAULT_LADDER), field) == joined


def _unordered(requirement: Requirement) -> Requirement:
    # The audience is the first one's and the order of what is shown follows the reader: the only
    # two parts in which it matters who comes first.
    shown = tuple(sorted(requirement.display))
    return msgspec.structs.replace(requirement, display=shown, audience=None)


@given(requirements(), requirements())
def test_raising_is_commutative_where_it_must_be(first, second):
    there = first.raised_by(second, DEFAULT_LADDER)
    back = second.raised_by(first, DEFAULT_LADDER)

    assert _unordered(there) == _unordered(back)


@given(requirements(), requirements(), requirements())
def test_raising_is_associative(first, second, third):
    left = first.raised_by(second, DEFAULT_LADDER).raised_by(third, DEFAULT_LADDER)
    right = first.raised_by(second.raised_by(third, DEFAULT_LADDER), DEFAULT_LADDER)

    assert left == right


@given(requirements(), requirements())
def test_raising_twice_is_raising_once(requirement, other):
    once = requirement.raised_by(other, DEFAULT_LADDER)

    assert once.raised_by(other, DEFAULT_LADDER) == once
    assert requirement.raised_by(requirement, DEFAULT_LADDER) == requirement


@given(requirements(), requirements())
def test_raising_never_lowers_the_level_or_lets_an_older_authentication_in(first, second):
    joined = first.raised_by(second, DEFAULT_LADDER)

    for demand in (first, second):
        assert DEFAULT_LADDER.reaches(joined.acr, demand.acr)
        assert demand.max_age is None or joined.max_age <= demand.max_age
        assert joined.bind >= demand.bind
        assert joined.once >= demand.once


def test_nothing_asked_is_no_requirement():
    assert strictest([], DEFAULT_LADDER) is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"max_age": timedelta(seconds=-1)}, id="negative age"),
        pytest.param({"token_lifetime": timedelta(0)}, id="a token without a life"),
        pytest.param({"token_lifetime": timedelta(seconds=601)}, id="a token for too long"),
    ],
)
def test_refuses_spans_that_mean_nothing(changes):
    with pytest.raises(ValueError, match=r"max_age|token"):
        Requirement(acr=PHR, **changes)


@pytest.mark.parametrize(
    ("acr", "methods", "reachable"),
    [
        pytest.param("phr", None, True, id="any method"),
        pytest.param("phr", {Method.WEBAUTHN, Method.TOTP}, True, id="one of them does"),
        pytest.param("phr", {Method.TOTP}, False, id="none does"),
        pytest.param("urn:stepup:acr:2", {Method.SMS}, False, id="restricted by NIST"),
    ],
)
def test_knows_whether_the_allowed_methods_can_reach_a_level(acr, methods, reachable):
    requirement = Requirement(acr=Acr(acr), methods=None if methods is None else frozenset(methods))

    assert requirement.is_reachable(DEFAULT_LADDER.get(Acr(acr))) is reachable
