"""Clients as they are kept: no member says what the release before would fail on.

It fails on a role that it does not know, and with it on the whole configuration. So such a role
stands in a member that it passes over: a client that has no other may do nothing there.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from stepup.domain.client import Client, Role
from stepup.domain.errors import NewerFormatError

_LATER = frozenset({Role.SSF})


class KeptClient(Client, frozen=True, kw_only=True):
    """A client in its kept form; `later_roles` are those that the first releases do not know."""

    later_roles: frozenset[Role] = frozenset()

    @classmethod
    def of(cls, client: Client) -> "KeptClient":
        """Return a client in its kept form."""
        fields = _fields(client)
        fields["roles"] = client.roles - _LATER
        return cls(**fields, later_roles=client.roles & _LATER)

    @property
    def client(self) -> Client:
        """The client that is kept."""
        return Client(**_fields(self) | {"roles": self.roles | self.later_roles})


def written(client: Client) -> Any:
    """Return what is written of a client."""
    return msgspec.to_builtins(KeptClient.of(client))


def read(data: Mapping[str, Any]) -> Client:
    """Read what is written of a client.

    Raises:
        NewerFormatError: If it says what this release does not know.
    """
    try:
        return msgspec.convert(data, KeptClient).client
    except msgspec.ValidationError as error:
        raise NewerFormatError from error


def _fields(client: Client) -> dict[str, Any]:
    return {name: getattr(client, name) for name in Client.__struct_fields__}
