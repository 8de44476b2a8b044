"""Which ways lead to a level, and what all of them show."""

import pytest

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Method
from stepup.domain.requirement import Requirement
from stepup.domain.ways import amr_values_of


@pytest.mark.parametrize(
    ("acr", "methods", "expected"),
    [
        ("urn:stepup:acr:1", None, ()),
        ("urn:stepup:acr:2", None, ()),
        ("urn:stepup:acr:2", {Method.TOTP}, ("otp",)),
        ("phr", None, ("user", "mfa")),
        ("phrh", None, ("hwk", "user", "mfa")),
        ("phr", {Method.TOTP}, ()),
    ],
)
def test_only_what_every_way_shows_is_called_for(
    acr: str, methods: set[Method] | None, expected: tuple[str, ...]
):
    requirement = Requirement(acr=Acr(acr), methods=frozenset(methods) if methods else None)

    assert amr_values_of(DEFAULT_LADDER.get(Acr(acr)), requirement) == expected
