from stepup.domain.audit import AuditKind
from stepup.usecases.end_subject import end_subject
from tests.support.world import World
from tests.usecases.steps import last_audited


async def test_what_a_subject_proved_ends_and_the_log_says_who_said_so(world: World):
    subject = world.subject()
    await end_subject(world.ports, subject.id, by="signal", why="session-revoked")
    event = await last_audited(world.ports, AuditKind.SUBJECT_REVOKED)
    assert (event.subject_id, event.details) == (
        subject.id,
        {"by": "signal", "why": "session-revoked"},
    )
    [entry] = [e for e in world.ports.revocations.entries() if e.value == subject.id]
    assert entry.at == world.clock.now()
