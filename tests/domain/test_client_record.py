"""What is written of a client, held against what the release before reads of it."""

from typing import Literal

import msgspec
import pytest

from stepup.domain import client_record
from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import AuthMethod, Profile
from stepup.domain.errors import NewerFormatError
from stepup.domain.ids import ClientId

RECEIVER = Client(
    client_id=ClientId("crm"),
    name="CRM",
    secret_digests=(b"\x00digest",),
    roles=frozenset({Role.RS, Role.SSF}),
    auth_method=AuthMethod.SECRET_POST,
    profile=Profile.OAUTH,
    revision=3,
)


class _OldClient(msgspec.Struct, frozen=True, kw_only=True):
    """What the release before reads: on another role it fails, and so on all clients and keys."""

    client_id: str
    name: str
    roles: frozenset[Literal["pep", "rp", "rs"]] = frozenset()
    disabled: bool = False


def test_attack_a_receiver_of_events_that_stops_every_instance_of_the_release_before():
    old = msgspec.convert(client_record.written(RECEIVER), _OldClient)

    assert (old.client_id, old.roles) == ("crm", {"rs"})


@pytest.mark.parametrize("roles", [{Role.SSF}, {Role.RS, Role.SSF}, {Role.RP}, set()])
def test_what_is_written_is_read_again(roles):
    client = msgspec.structs.replace(RECEIVER, roles=frozenset(roles))

    assert client_record.read(client_record.written(client)) == client


def test_a_role_may_stand_where_it_stood_first():
    assert client_record.read(msgspec.to_builtins(RECEIVER)) == RECEIVER


def test_what_a_newer_release_says_of_a_client_is_told_as_such():
    with pytest.raises(NewerFormatError):
        client_record.read({"client_id": "x", "name": "x", "roles": ["invented"]})
