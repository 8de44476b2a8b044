"""What a client may see of a token that it asks about."""

from collections.abc import Mapping

from stepup.domain.client import Client

# Without these a token would be taken for longer than it lives, or without its key, or twice.
NEVER_HIDDEN = frozenset({"token_type", "exp", "cnf", "revocation_age", "consumed_at"})


def shown_to(caller: Client, claims: Mapping[str, object]) -> dict[str, object]:
    """Leave out what the caller was not registered to see (`Client.introspection_claims`)."""
    if caller.introspection_claims is None:
        return dict(claims)
    shown = NEVER_HIDDEN.union(caller.introspection_claims)
    return {name: value for name, value in claims.items() if name in shown}
