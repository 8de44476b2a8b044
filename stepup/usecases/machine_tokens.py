"""Access tokens for clients themselves (RFC 6749 section 4.4): receivers of security events.

SSF 1.0 wants OAuth at a transmitter's endpoints (`urn:ietf:rfc:6749`): a receiver gets a token with
its own credentials and shows it there. It is good for a few minutes, for our own interface and for
nothing that a person must have stepped up for.
"""

from datetime import timedelta

from stepup.crypto import machine_tokens
from stepup.crypto.machine_tokens import InvalidTokenError, MachineToken
from stepup.domain.admin_errors import InsufficientScopeError, TokenRefusedError
from stepup.domain.client import Client, Role
from stepup.domain.confirmation import Confirmation, Possession
from stepup.domain.errors import ClientNotAllowedError, InvalidScopeError
from stepup.domain.keyring import KeyUse
from stepup.domain.revocation import Ground, Revoked
from stepup.ports import Ports
from stepup.usecases.make_token import check_proof
from stepup.usecases.signing import signer_for
from stepup.usecases.token_state import require_known_for

AUDIENCE = "/v1/signals"
LIFETIME = timedelta(minutes=10)
"""CAEP Interoperability Profile section 2.7.3 allows an hour."""

MANAGE, READ = "ssf.manage", "ssf.read"
SCOPES = frozenset({MANAGE, READ})


async def grant(
    ports: Ports, client: Client, scope: str | None, proof: Confirmation | None
) -> tuple[MachineToken, str]:
    """Give a receiver a token with the scopes that it asks for, or all there are.

    Raises:
        ClientNotAllowedError: If it is no receiver, or cannot keep a secret (RFC 6749 section 4.4).
        InvalidScopeError: If it asks for another scope.
        InvalidDpopProofError, InvalidRequestError: If its tokens are always bound, and it proves
            to hold no key.
        DependencyUnavailableError: If there is no key that may sign it.
    """
    if client.is_public or not client.may(Role.SSF):
        raise ClientNotAllowedError
    scopes = SCOPES if scope is None else frozenset(scope.split())
    if not scopes or not scopes <= SCOPES:
        raise InvalidScopeError("The scopes of a client itself are ssf.manage and ssf.read.")
    check_proof(client, proof)
    key = signer_for(ports, client, KeyUse.TOKEN)
    now = ports.clock.now()
    token = MachineToken(
        id=ports.entropy.token(16),
        key_id=key.id,
        client_id=client.client_id,
        scopes=scopes,
        issued_at=now,
        expires_at=now + LIFETIME,
        confirmation=proof,
    )
    text = machine_tokens.sign(
        token, key, issuer=ports.site.issuer, audience=ports.site.url(AUDIENCE)
    )
    return token, text


def read(ports: Ports, text: str) -> MachineToken:
    """Return what a token says that holds; whether whoever shows it may is asked later.

    Raises:
        TokenRefusedError: If it does not hold, or it, its client or its key was revoked.
    """
    try:
        token = machine_tokens.read(
            text,
            ports.snapshot.keyring,
            expected_issuer=ports.site.issuer,
            expected_audience=ports.site.url(AUDIENCE),
            now=ports.clock.now(),
        )
    except InvalidTokenError:
        raise TokenRefusedError from None
    # What this process knows will do: the token lives for minutes, and nobody stepped up for it.
    if ports.revocations.ends(_grounds_of(token)):
        raise TokenRefusedError
    return token


async def authenticate(
    ports: Ports, text: str, possession: Possession, *, scopes: frozenset[str]
) -> Client:
    """Return the receiver that a token was given to.

    Raises:
        TokenRefusedError: If the token does not hold, is bound to a key that was not proved, or
            its client is out of service.
        InsufficientScopeError: If it has none of the scopes, or its client is no receiver any more.
        DependencyUnavailableError: If this instance cannot know whether it was revoked.
    """
    token = read(ports, text)
    client = ports.snapshot.client(token.client_id)
    if client is None or client.disabled or not possession.covers(token.confirmation):
        raise TokenRefusedError
    require_known_for(ports.revocations.age, critical=False)
    if scopes.isdisjoint(token.scopes) or not client.may(Role.SSF):
        raise InsufficientScopeError(" ".join(sorted(scopes)))
    return client


def _grounds_of(token: MachineToken) -> tuple[Ground, ...]:
    return (
        Ground(Revoked.TOKEN, token.id, token.issued_at),
        Ground(Revoked.CLIENT, token.client_id, token.issued_at),
        Ground(Revoked.KEY, token.key_id, token.issued_at),
    )
