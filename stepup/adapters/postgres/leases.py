"""Leases: advisory locks that end with the transaction, so a pooler between us does no harm."""

from sqlalchemy import func, select
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.ports import Lease, LeaseStore

# Any constant that is ours alone: locks of two numbers never meet those of one.
_NAMESPACE = 7_305_4


class PostgresLeaseStore(LeaseStore):
    """Leases of one transaction.

    A holder that hangs is ended by `idle_in_transaction_session_timeout`, and its lease with it.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def take(self, lease: Lease) -> bool:
        statement = select(func.pg_try_advisory_xact_lock(_NAMESPACE, int(lease)).label("taken"))
        [row] = await self._transaction.rows(statement)
        return bool(row.taken)
