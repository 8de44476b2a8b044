"""What security events are made of: how far the log was read, who is who, who is elevated."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import signal_elevation as elevation_table
from stepup.adapters.postgres.tables import signal_place as place_table
from stepup.adapters.postgres.tables import signal_subject as subject_table
from stepup.domain.assurance import Acr
from stepup.domain.ids import AuthenticatorId, ChallengeId, Subject, SubjectId, TokenId
from stepup.domain.signal_source import Elevation
from stepup.ports import SignalSource


class PostgresSignalSource(SignalSource):
    """Rows of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @override
    async def place(self) -> int | None:
        rows = await self._transaction.rows(select(place_table.c.position))
        return int(rows[0].position) if rows else None

    @override
    async def move(self, position: int) -> None:
        statement = insert(place_table).values(only_row=True, position=position)
        await self._transaction.change(
            statement.on_conflict_do_update(
                index_elements=[place_table.c.only_row], set_={"position": position}
            )
        )

    @override
    async def name(self, subject_id: SubjectId) -> Subject | None:
        found = select(subject_table).where(subject_table.c.subject_id == subject_id)
        rows = await self._transaction.rows(found)
        return Subject(rows[0].issuer, rows[0].sub) if rows else None

    @override
    async def forget_names(self, gone_before: datetime) -> None:
        await self._transaction.change(
            delete(subject_table).where(subject_table.c.gone_at < gone_before)
        )

    @override
    async def elevations(self, subject_id: SubjectId) -> Sequence[Elevation]:
        return await self._read(
            select(elevation_table).where(elevation_table.c.subject_id == subject_id)
        )

    @override
    async def elevation(self, token_id: TokenId) -> Elevation | None:
        found = await self._read(
            select(elevation_table).where(elevation_table.c.token_id == token_id)
        )
        return found[0] if found else None

    @override
    async def of_grant(self, challenge_id: ChallengeId) -> Sequence[Elevation]:
        # A token's identifier begins with the ceremony's.
        begins = elevation_table.c.token_id.startswith(f"{challenge_id}.", autoescape=True)
        return await self._read(select(elevation_table).where(begins))

    @override
    async def begin(self, elevation: Elevation) -> None:
        given_by = elevation.authenticators
        statement = insert(elevation_table).values(
            token_id=elevation.token_id,
            subject_id=elevation.subject_id,
            acr=elevation.acr,
            until=elevation.until,
            authenticators=None if given_by is None else " ".join(given_by),
        )
        await self._transaction.change(statement.on_conflict_do_nothing())

    @override
    async def end(self, token_ids: Collection[TokenId]) -> None:
        if token_ids:
            await self._transaction.change(
                delete(elevation_table).where(elevation_table.c.token_id.in_(token_ids))
            )

    @override
    async def expired(self, now: datetime, count: int) -> Sequence[Elevation]:
        return await self._read(
            select(elevation_table)
            .where(elevation_table.c.until <= now)
            .order_by(elevation_table.c.until)
            .limit(count)
        )

    async def _read(self, found: Select[tuple[object, ...]]) -> Sequence[Elevation]:
        return [
            Elevation(
                token_id=TokenId(row.token_id),
                subject_id=SubjectId(row.subject_id),
                acr=Acr(row.acr),
                until=row.until,
                authenticators=_givers(row.authenticators),
            )
            for row in await self._transaction.rows(found)
        ]


def _givers(text: str | None) -> tuple[AuthenticatorId, ...] | None:
    return None if text is None else tuple(AuthenticatorId(each) for each in text.split())
