"""What lies in the tables: nothing that anybody could use, and nothing that can be moved."""

import pytest

from stepup.crypto.keys import seal_root
from stepup.crypto.sealing import UnsealError
from stepup.domain.audit import AuditEvent
from stepup.domain.authenticator import Authenticator, RecoveryCodes, TotpSecret
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import AuthenticatorId
from tests.contracts.audit import ISSUED
from tests.contracts.authenticators import PASSKEY, add, find
from tests.support.builders import a_subject, an_attempt, an_authenticator
from tests.support.determinism import NOON

pytestmark = pytest.mark.postgres

SEED = b"12345678901234567890"
ROOT = b"the root secret, 32 bytes of it."
DIGEST = b"keyed-digest-of-a-code"
DUMP = {
    table: f"SELECT t::text FROM {table} t"  # noqa: S608  names of our own
    for table in ("policy_version", "client", "authenticator", "key", "audit_event")
}


def dump(rows) -> str:
    """Everything the tables hold, binary columns in hexadecimal."""
    return "\n".join(row for query in DUMP.values() for (row,) in rows.execute(query))


async def test_the_tables_hold_no_secret_in_clear(postgres, rows, sealer):
    event: AuditEvent = ISSUED
    await add(
        postgres,
        an_authenticator(TotpSecret(secret=SEED)),
        an_authenticator(RecoveryCodes(digests=(DIGEST,))),
        an_authenticator(PASSKEY),
    )
    async with postgres.transaction() as stores:
        await stores.keys.add(seal_root(ROOT, sealer, NOON))
        await stores.audit.append("1-0", event)

    text = dump(rows)

    assert text.count("\n") == 4
    for secret in (SEED, ROOT, DIGEST, PASSKEY.credential_id, PASSKEY.public_key):
        assert secret.hex() not in text
        assert secret.decode("latin-1") not in text


async def swapped(postgres, rows, statement: str) -> tuple[Authenticator, Authenticator]:
    mallory = an_authenticator(TotpSecret(secret=b"mallory's own"), id=AuthenticatorId("mallory's"))
    alice = an_authenticator(TotpSecret(secret=SEED), id=AuthenticatorId("alice's"))
    await add(postgres, mallory, alice)
    rows.execute(statement)
    return mallory, alice


async def test_a_secret_copied_into_another_row_does_not_unseal(postgres, rows):
    _, alice = await swapped(
        postgres,
        rows,
        "UPDATE authenticator SET credential_sealed = "
        "(SELECT credential_sealed FROM authenticator WHERE id = 'mallory''s') "
        "WHERE id = 'alice''s'",
    )
    with pytest.raises(DependencyUnavailableError):
        await find(postgres, alice)


async def test_a_row_given_to_another_subject_does_not_unseal(postgres, rows):
    mallory, alice = await swapped(
        postgres,
        rows,
        "UPDATE authenticator SET subject_id = "
        "(SELECT subject_id FROM authenticator WHERE id = 'alice''s') WHERE id = 'mallory''s'",
    )
    with pytest.raises(DependencyUnavailableError):
        async with postgres.transaction() as stores:
            await stores.authenticators.of_subject(alice.subject)
    with pytest.raises(UnsealError):
        async with postgres.transaction() as stores:
            await stores.authenticators.burn_code(mallory.id, DIGEST, an_attempt())


async def test_a_subject_written_over_another_one_changes_nothing(postgres, rows):
    alice = an_authenticator()
    await add(postgres, alice)
    rows.execute("UPDATE authenticator SET issuer = 'https://evil.example', sub = 'mallory'")

    assert (await find(postgres, alice)).subject == alice.subject


async def test_a_credential_is_sealed_differently_each_time(postgres, rows):
    subject = a_subject()
    await add(postgres, *(an_authenticator(subject=subject) for _ in range(2)))
    sealed = rows.execute("SELECT credential_sealed FROM authenticator").fetchall()
    assert len(set(sealed)) == 2
