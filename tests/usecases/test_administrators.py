"""Appointing and dismissing, as the operator of the host does it."""

import pytest

from stepup.domain.administrator import AdministratorKind, Scope
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import Subject
from stepup.usecases import administrators
from tests.support.world import IDP, World


async def test_appointing_changing_and_dismissing_are_recorded(world: World):
    alice = world.subject()
    await administrators.appoint(world.ports, alice, Scope, "host:root")
    await administrators.appoint(world.ports, alice, [Scope.POLICY_READ], "host:root")
    assert await administrators.dismiss(world.ports, alice, "host:eve")
    assert not await administrators.dismiss(world.ports, alice, "host:eve")

    events = world.ports.database.tables.events()
    assert [(e.kind.value, e.subject_id) for e in events] == [
        ("administrator.appointed", alice.id),
        ("administrator.appointed", alice.id),
        ("administrator.dismissed", alice.id),
    ]
    assert events[1].details == {"scopes": "policy:read", "by": "host:root"}


async def test_an_administrator_has_one_name_for_approvals_whatever_the_scopes(world: World):
    alice = world.subject()
    first = await administrators.appoint(world.ports, alice, Scope, "host:root")
    second = await administrators.appoint(world.ports, alice, [Scope.POLICY_READ], "host:eve")

    assert first.administrator.id == second.administrator.id == f"person:{alice.id}"
    assert first.administrator.kind is AdministratorKind.PERSON


@pytest.mark.parametrize(
    ("issuer", "scopes"),
    [("https://nobody.example", list(Scope)), (IDP, [])],
    ids=["issuer", "scopes"],
)
async def test_what_would_let_nobody_in_is_refused(world: World, issuer: str, scopes: list[Scope]):
    with pytest.raises(InvalidRequestError):
        await administrators.appoint(world.ports, Subject(issuer, "alice"), scopes, "host:root")
    assert await administrators.list_appointments(world.ports) == []
