"""What `AuditStore` promises; that the log can be read is another port's promise."""

import pytest

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.ids import ActionName, ChallengeId, ClientId, SubjectId
from tests.support.determinism import NOON

ISSUED = AuditEvent(
    kind=AuditKind.TOKEN_ISSUED,
    at=NOON,
    client_id=ClientId("bank"),
    subject_id=SubjectId("s-1"),
    action=ActionName("payments.transfer"),
    challenge_id=ChallengeId("r1.c-1"),
    details={"acr": "phr", "once": True, "n": 3, "scope": None},
)
ACTIVATED = AuditEvent(kind=AuditKind.POLICY_ACTIVATED, at=NOON)


class AuditStoreContract:
    """Subclass it and provide `database` and `recorded`, which reads the log as it lies there."""

    async def test_writes_events_in_order(self, database, recorded):
        async with database.transaction() as stores:
            await stores.audit.append("1-0", ISSUED)
            await stores.audit.append("1-1", ACTIVATED)
        assert recorded() == [("1-0", ISSUED), ("1-1", ACTIVATED)]

    async def test_the_same_entry_again_is_harmless(self, database, recorded):
        for _ in range(2):
            async with database.transaction() as stores:
                await stores.audit.append("1-0", ISSUED)
                await stores.audit.append("1-0", ISSUED)
        assert recorded() == [("1-0", ISSUED)]

    async def test_a_refusal_takes_its_record_along_when_it_is_raised_inside(
        self, database, recorded
    ):
        async def record_and_refuse() -> None:
            async with database.transaction() as stores:
                await stores.audit.append("1-0", ISSUED)
                raise KeyError

        with pytest.raises(KeyError):
            await record_and_refuse()
        assert recorded() == []
