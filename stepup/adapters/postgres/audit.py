"""The audit log: rows that are only ever added, each once."""

from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import audit_event
from stepup.domain.audit import AuditEvent
from stepup.ports import AuditStore


class PostgresAuditStore(AuditStore):
    """Events by the entry they came from."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def append(self, entry_id: str, event: AuditEvent) -> None:
        statement = insert(audit_event).on_conflict_do_nothing(
            index_elements=[audit_event.c.entry_id]
        )
        await self._transaction.change(
            statement.values(
                entry_id=entry_id,
                kind=event.kind,
                at=event.at,
                client_id=event.client_id,
                subject_id=event.subject_id,
                action=event.action,
                challenge_id=event.challenge_id,
                details=event.details,
            )
        )
