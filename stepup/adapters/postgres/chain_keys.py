"""The key of the audit chain, which lies sealed in the database as part of the root secret."""

from stepup.adapters.postgres.keys import PostgresKeyStore
from stepup.adapters.postgres.line import Transaction
from stepup.crypto import audit_chain, keys
from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import DependencyUnavailableError, NewerFormatError


class ChainKeys:
    """Opens the key once and keeps it: a deployment has one root secret, for good."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._key: bytes | None = None

    async def get(self, transaction: Transaction) -> bytes:
        """Return the key.

        Raises:
            DependencyUnavailableError: If the deployment has no root secret yet, or it does not open.
        """
        if self._key is None:
            sealed = await PostgresKeyStore(transaction).all()
            try:
                self._key = audit_chain.chain_key(keys.open_root(sealed, self._sealer))
            except (LookupError, UnsealError, NewerFormatError) as error:
                # Before the first start there is none; another instance may have the right
                # key-encryption key. What was to be written waits.
                raise DependencyUnavailableError("the root secret cannot be read") from error
        return self._key

    def __repr__(self) -> str:
        return "ChainKeys(***)"
