"""Authenticators. Their credentials lie sealed, each bound to its row and its subject."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Row,
    Text,
    and_,
    case,
    column,
    func,
    literal,
    select,
    update,
)
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects.postgresql import JSONB, insert
from typing_extensions import override

from stepup.adapters.postgres.line import Transaction
from stepup.adapters.postgres.tables import authenticator as table
from stepup.crypto.sealing import SHORTEST, Sealer, UnsealError, number_of
from stepup.domain.authenticator import (
    Authenticator,
    Credential,
    RecoveryCodes,
    WebAuthnCredential,
)
from stepup.domain.errors import (
    AuthenticatorExistsError,
    DependencyUnavailableError,
    NewerFormatError,
)
from stepup.domain.ids import AttemptId, AuthenticatorId, Subject, SubjectId
from stepup.ports import AuthenticatorStore, AuthenticatorUsed

_CREDENTIAL_COLUMNS = (
    table.c.id,
    table.c.subject_id,
    table.c.credential_sealed,
    table.c.sign_count,
    table.c.backed_up,
)
_COLUMNS = (
    *_CREDENTIAL_COLUMNS,
    table.c.name,
    table.c.created_at,
    table.c.last_used_at,
    table.c.last_step,
)


class _Use(NamedTuple):
    id: AuthenticatorId
    at: datetime
    sign_count: int | None = None
    backed_up: bool | None = None
    backed_up_at: datetime | None = None
    step: int | None = None


class PostgresAuthenticatorStore(AuthenticatorStore):
    """Authenticators by their subject; who reads one must say whose it is."""

    def __init__(self, transaction: Transaction, sealer: Sealer) -> None:
        self._transaction = transaction
        self._sealer = sealer

    @override
    async def of_subject(self, subject: Subject) -> Sequence[Authenticator]:
        statement = (
            select(*_COLUMNS)
            .where(table.c.subject_id == subject.id)
            .order_by(table.c.created_at, table.c.id)
        )
        rows = await self._transaction.rows(statement)
        return [self._authenticator(row, subject) for row in rows]

    @override
    async def of_subjects(
        self, subject_ids: Collection[SubjectId]
    ) -> Mapping[SubjectId, Sequence[Authenticator] | None]:
        statement = (
            select(*_COLUMNS, table.c.issuer, table.c.sub)
            .where(table.c.subject_id.in_(subject_ids))
            .order_by(table.c.subject_id, table.c.created_at, table.c.id)
        )
        found: dict[SubjectId, Sequence[Authenticator] | None] = dict.fromkeys(subject_ids, ())
        for subject, own in _by_subject(await self._transaction.rows(statement)):
            found[subject.id] = self._if_opened(subject, own)
        return found

    @override
    async def find(
        self, subject: Subject, authenticator_id: AuthenticatorId
    ) -> Authenticator | None:
        statement = select(*_COLUMNS).where(_is(subject, authenticator_id))
        rows = await self._transaction.rows(statement)
        return self._authenticator(rows[0], subject) if rows else None

    @override
    async def page(
        self, *, after: str, count: int
    ) -> Sequence[tuple[Subject, Sequence[Authenticator]]]:
        subjects = (
            select(table.c.subject_id)
            .where(table.c.subject_id > after)
            .distinct()
            .order_by(table.c.subject_id)
            .limit(count)
        )
        statement = (
            select(*_COLUMNS, table.c.issuer, table.c.sub)
            .where(table.c.subject_id.in_(subjects))
            .order_by(table.c.subject_id, table.c.created_at, table.c.id)
        )
        whole = _by_subject(await self._transaction.rows(statement))
        return [(subject, self._if_opened(subject, own) or ()) for subject, own in whole]

    def _if_opened(
        self, subject: Subject, rows: Iterable[Row[Any]]
    ) -> Sequence[Authenticator] | None:
        try:
            return [self._authenticator(row, subject) for row in rows]
        except (DependencyUnavailableError, NewerFormatError):
            return None

    @override
    async def add(self, authenticator: Authenticator) -> None:
        statement = insert(table).values(
            id=authenticator.id,
            subject_id=authenticator.subject.id,
            issuer=authenticator.subject.issuer,
            sub=authenticator.subject.sub,
            method=authenticator.method,
            name=authenticator.name,
            created_at=authenticator.created_at,
            last_used_at=authenticator.last_used_at,
            last_step=authenticator.last_step,
            **self._credential_values(
                authenticator.id, authenticator.subject.id, authenticator.credential
            ),
        )
        # Waits for a concurrent twin to commit, so two at once end as two after another do.
        if await self._transaction.change(statement.on_conflict_do_nothing()) == 0:
            raise AuthenticatorExistsError

    @override
    async def burn_code(
        self, authenticator_id: AuthenticatorId, code_digest: bytes, attempt: AttemptId
    ) -> int | None:
        is_it = table.c.id == authenticator_id
        # Locked, so that two codes of one set are burned one after the other.
        statement = select(*_CREDENTIAL_COLUMNS).where(is_it).with_for_update()
        rows = await self._transaction.rows(statement)
        codes = self._credential(rows[0]) if rows else None
        left = codes.burned(code_digest, attempt) if isinstance(codes, RecoveryCodes) else None
        if left is None:
            return None
        if left is not codes:
            values = self._credential_values(authenticator_id, rows[0].subject_id, left)
            await self._transaction.change(update(table).where(is_it).values(values))
        return len(left.digests)

    @override
    async def rename(self, subject: Subject, authenticator_id: AuthenticatorId, name: str) -> bool:
        statement = update(table).where(_is(subject, authenticator_id)).values(name=name)
        return await self._transaction.change(statement) == 1

    @override
    async def remove(self, subject: Subject, authenticator_id: AuthenticatorId) -> bool:
        statement = delete_from(table).where(_is(subject, authenticator_id))
        return await self._transaction.change(statement) == 1

    @override
    async def record_uses(self, uses: Sequence[AuthenticatorUsed]) -> None:
        if not uses:
            return
        used = _as_rows(uses)
        # GREATEST and COALESCE pass over what no entry says. An entry may be late: what a newer
        # one said about the backup stays.
        is_newest = func.coalesce(table.c.last_used_at <= used.c.backed_up_at, literal(True))
        backed_up = func.coalesce(used.c.backed_up, table.c.backed_up)
        await self._transaction.change(
            update(table)
            .where(table.c.id == used.c.id)
            .values(
                last_used_at=func.greatest(table.c.last_used_at, used.c.at),
                sign_count=func.greatest(table.c.sign_count, used.c.sign_count),
                last_step=func.greatest(table.c.last_step, used.c.step),
                backed_up=case((is_newest, backed_up), else_=table.c.backed_up),
            )
        )

    @override
    async def seals(
        self, *, after: AuthenticatorId, count: int
    ) -> Sequence[tuple[AuthenticatorId, int]]:
        # The number stands before the secret, which need not be read for it.
        head = func.substring(table.c.credential_sealed, 1, SHORTEST).label("head")
        statement = select(table.c.id, head).where(table.c.id > after).order_by(table.c.id)
        rows = await self._transaction.rows(statement.limit(count))
        return [(AuthenticatorId(row.id), number_of(row.head)) for row in rows]

    @override
    async def seal_again(self, authenticator_ids: Sequence[AuthenticatorId]) -> int:
        # Whoever waits for nobody is in nobody's way: a batch of uses locks rows in another order.
        statement = (
            select(*_CREDENTIAL_COLUMNS)
            .where(table.c.id.in_(authenticator_ids))
            .with_for_update(skip_locked=True)
        )
        done = 0
        for row in await self._transaction.rows(statement):
            context = _context(row.id, row.subject_id)
            try:
                sealed = self._sealer.seal_again(row.credential_sealed, context=context)
            except UnsealError:
                continue
            if sealed is not None:
                changed = update(table).where(_is_row(row)).values(credential_sealed=sealed)
                done += await self._transaction.change(changed)
        return done

    def _authenticator(self, row: Row[Any], subject: Subject) -> Authenticator:
        try:
            credential = self._credential(row)
        except UnsealError as error:
            # A key-encryption key is missing here; another instance may well have it.
            raise DependencyUnavailableError from error
        return Authenticator(
            id=AuthenticatorId(row.id),
            subject=subject,
            name=row.name,
            credential=credential,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            last_step=row.last_step,
        )

    def _credential(self, row: Row[Any]) -> Credential:
        context = _context(row.id, row.subject_id)
        plaintext = self._sealer.unseal(row.credential_sealed, context=context)
        credential: Credential = msgspec.msgpack.decode(plaintext, type=Credential)
        if isinstance(credential, WebAuthnCredential):
            return msgspec.structs.replace(
                credential, sign_count=row.sign_count, backed_up=row.backed_up
            )
        return credential

    def _credential_values(
        self, authenticator_id: AuthenticatorId, subject_id: SubjectId, credential: Credential
    ) -> dict[str, Any]:
        context = _context(authenticator_id, subject_id)
        webauthn = credential if isinstance(credential, WebAuthnCredential) else None
        return {
            "credential_sealed": self._sealer.seal(
                msgspec.msgpack.encode(credential), context=context
            ),
            "credential_ref": webauthn and hashlib.sha256(webauthn.credential_id).digest(),
            "sign_count": webauthn and webauthn.sign_count,
            "backed_up": webauthn and webauthn.backed_up,
        }


def _context(authenticator_id: str, subject_id: str) -> str:
    # A credential copied into another row, or a row given to another subject, does not unseal.
    return f"authenticator {authenticator_id} of {subject_id}"


def _is_row(seen: Row[Any]) -> Any:
    # Sealing is never twice the same, so the sealed bytes are the version of the row: of all who
    # read this one, the update lets one through.
    return and_(
        table.c.id == seen.id,
        table.c.credential_sealed == seen.credential_sealed,
        table.c.sign_count.is_not_distinct_from(seen.sign_count),
        table.c.backed_up.is_not_distinct_from(seen.backed_up),
    )


def _by_subject(rows: Iterable[Row[Any]]) -> Iterator[tuple[Subject, Iterator[Row[Any]]]]:
    return groupby(rows, lambda row: Subject(row.issuer, row.sub))


def _is(subject: Subject, authenticator_id: AuthenticatorId) -> Any:
    return and_(table.c.id == authenticator_id, table.c.subject_id == subject.id)


def _as_rows(uses: Sequence[AuthenticatorUsed]) -> Any:
    """Fold uses into one row for each authenticator: an UPDATE takes one row for each."""
    folded: dict[AuthenticatorId, _Use] = {}
    for used in sorted(uses, key=lambda used: used.at):
        earlier = folded.get(used.authenticator_id, _Use(used.authenticator_id, used.at))
        said = used.backed_up is not None
        folded[used.authenticator_id] = earlier._replace(
            at=used.at,
            sign_count=_larger(earlier.sign_count, used.sign_count),
            step=_larger(earlier.step, used.step),
            backed_up=used.backed_up if said else earlier.backed_up,
            backed_up_at=used.at if said else earlier.backed_up_at,
        )
    columns = (
        column("id", Text),
        column("at", DateTime(timezone=True)),
        column("sign_count", BigInteger),
        column("backed_up", Boolean),
        column("backed_up_at", DateTime(timezone=True)),
        column("step", BigInteger),
    )
    given = func.jsonb_to_recordset(literal([use._asdict() for use in folded.values()], JSONB))
    return given.table_valued(*columns).render_derived(name="used", with_types=True)


def _larger(*numbers: int | None) -> int | None:
    return max((number for number in numbers if number is not None), default=None)
