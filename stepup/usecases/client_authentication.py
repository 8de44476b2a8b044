"""Who is calling: a client by its key, its certificate, or its mere name.

By its secret: `clients.py`, which is in everybody's way and has nothing else in it.
"""

import hashlib

from stepup.crypto import certificates, client_assertions, client_keys, jwts
from stepup.crypto.client_assertions import Assertion, Expected
from stepup.domain.client import Client
from stepup.domain.client_authentication import (
    AssertionShown,
    AuthMethod,
    Credentials,
    OnlyNamed,
    Profile,
    is_accepted,
)
from stepup.domain.client_certificate import ClientCertificate
from stepup.domain.errors import ClientAuthenticationError, DependencyUnavailableError
from stepup.domain.generation import is_below
from stepup.domain.ids import AttemptId, ClientId
from stepup.ports import Ports
from stepup.usecases.client_keys import keys_of

_ENDPOINTS = ("/oauth2/token", "/oauth2/par")


async def authenticate(ports: Ports, shown: Credentials) -> Client:
    """Return the client that a request comes from.

    Raises:
        ClientAuthenticationError: If it cannot be told; the error does not say why.
        DependencyUnavailableError: If its keys are at a URL that does not answer, or nobody can
            say whether the assertion was seen before.
    """
    match shown:
        case AssertionShown():
            return await _by_assertion(ports, shown)
        case OnlyNamed():
            return await _by_name(ports, shown)


def find_client(ports: Ports, client_id: str, method: AuthMethod) -> Client:
    """Find a client that is in service and authenticates in this way.

    Raises:
        ClientAuthenticationError: If there is none.
    """
    client = ports.snapshot.client(ClientId(client_id))
    if client is None or client.disabled:
        raise ClientAuthenticationError
    if not is_accepted(client.auth_method, method, client.profile):
        raise ClientAuthenticationError
    return client


async def _by_assertion(ports: Ports, shown: AssertionShown) -> Client:
    try:
        client_id, kid = client_assertions.peek_client(shown.text)
        # RFC 7521 section 4.2: the parameter, if it is there, names the same client.
        if shown.client_id not in {None, client_id}:
            raise ClientAuthenticationError
        client = find_client(ports, client_id, AuthMethod.PRIVATE_KEY_JWT)
        keys = await keys_of(ports, client, kid)
        expected = _expected(ports, client, shown.path)
        assertion = client_assertions.read_assertion(shown.text, keys, expected)
    except jwts.InvalidTokenError:
        raise ClientAuthenticationError from None
    await _spend(ports, client, assertion)
    return client


def _expected(ports: Ports, client: Client, path: str) -> Expected:
    is_fapi = client.profile is Profile.FAPI2
    # RFC 9126 section 2 has the endpoints accepted as well; an assertion that several endpoints of
    # several servers take is one that can be carried from one to the other.
    lenient = client.legacy_assertion_audience and not is_fapi
    return Expected(
        client_id=client.client_id,
        issuer=ports.site.issuer,
        endpoints=frozenset(map(ports.site.url, (*_ENDPOINTS, path))) if lenient else frozenset(),
        algorithms=client_keys.FAPI_ALGORITHMS if is_fapi else client_keys.ALGORITHMS,
        now=ports.clock.now(),
    )


async def _spend(ports: Ports, client: Client, assertion: Assertion) -> None:
    # Each request is an attempt of its own, whatever it calls itself: whoever repeats one signs a
    # new assertion, and an `Idempotency-Key` that was overheard must not open the door again.
    named = f"{client.client_id}\0{assertion.id}".encode()
    is_new = await ports.state.replays.remember(
        "client_assertion",
        hashlib.sha256(named).hexdigest(),
        AttemptId(ports.entropy.token(16)),
        assertion.until,
        possible_since=assertion.since,
    )
    if is_new:
        return
    # Its record may have been lost with others: then nobody knows, and unknown is not refused.
    if is_below((await ports.state.generations.current()).floor_at, assertion.since):
        raise DependencyUnavailableError("The assertion may have been used before.")
    raise ClientAuthenticationError


async def _by_name(ports: Ports, shown: OnlyNamed) -> Client:
    client = ports.snapshot.client(shown.client_id)
    method = None if client is None else client.auth_method
    if client is None or client.disabled or method is None:
        raise ClientAuthenticationError
    if not is_accepted(method, method, client.profile):
        raise ClientAuthenticationError
    match method:
        case AuthMethod.NONE:
            return client
        case AuthMethod.TLS | AuthMethod.SELF_SIGNED_TLS if shown.certificate is not None:
            if await _is_its(ports, client, shown.certificate):
                return client
    raise ClientAuthenticationError


async def _is_its(ports: Ports, client: Client, certificate: ClientCertificate) -> bool:
    now = ports.clock.now()
    if not certificate.is_valid_at(now):
        return False
    if client.auth_method is AuthMethod.SELF_SIGNED_TLS:
        keys = await keys_of(ports, client)
        return any(certificates.is_registered(certificate, k.key, k.certificate) for k in keys)
    subject = client.tls_subject
    return (
        subject is not None
        and certificates.is_issued_by(certificate, ports.site.client_authorities, now)
        and certificates.is_of_subject(certificate, subject)
    )
