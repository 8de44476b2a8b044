"""Which key signs what a client is given."""

from contextlib import suppress

from stepup.domain import fapi
from stepup.domain.client import Client
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.keyring import Keyring, KeyUse, SigningKey
from stepup.ports import Ports


def signer_for(
    ports: Ports, client: Client, use: KeyUse, algorithm: str | None = None
) -> SigningKey:
    """Return the key of the algorithm that a client registered, or of the preferred one.

    What its profile forbids counts as not registered.

    Raises:
        DependencyUnavailableError: If there is no key that may sign it.
    """
    keyring = ports.snapshot.keyring
    is_allowed = algorithm is not None and fapi.may_sign_with(client.profile, algorithm)
    try:
        key = keyring.signer(use, algorithm if is_allowed else None)
    except LookupError as error:
        raise DependencyUnavailableError("There is no key to sign with.") from error
    if fapi.may_sign_with(client.profile, key.algorithm):
        return key
    return _under_fapi(keyring, use)


def set_signer(ports: Ports) -> SigningKey:
    """Return the key that signs security events, whoever receives them.

    Raises:
        DependencyUnavailableError: If there is none yet.
    """
    try:
        return ports.snapshot.keyring.signer(KeyUse.SET)
    except LookupError as error:
        raise DependencyUnavailableError("There is no key to sign with.") from error


def _under_fapi(keyring: Keyring, use: KeyUse) -> SigningKey:
    for algorithm in fapi.ALGORITHMS:
        with suppress(LookupError):
            return keyring.signer(use, algorithm)
    raise DependencyUnavailableError("There is no key that FAPI 2.0 allows to sign with.")
