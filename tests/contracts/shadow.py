"""What `ShadowLog` promises."""

import asyncio
import secrets
from collections import Counter

from stepup.domain.decision import Allow, AllowReason, Basis
from stepup.domain.difference import DifferenceKind
from stepup.domain.ids import ActionName, ClientId, DecisionId, SubjectId
from stepup.domain.recorded_decision import Decided, Outcome
from stepup.domain.replay import Answered, Example
from stepup.domain.shadow import SAME, ShadowTally, Watched
from stepup.ports import ShadowFindings, State
from tests.support.builders import a_decision_request, a_policy, a_subject
from tests.support.determinism import NOON

PAY = ActionName("payments pay")
RAISED = DifferenceKind.RAISED


def a_watched() -> Watched:
    decided = Decided(
        at=NOON,
        client_id=ClientId("bank"),
        subject=a_subject(),
        policy=a_policy(),
        request=a_decision_request(),
        approval=None,
        decision=Allow(reason=AllowReason.NOT_REQUIRED, basis=Basis(policy_version=1)),
    )
    return Watched(id=DecisionId(secrets.token_hex(6)), decided=decided)


def an_example(name: str = "d") -> Example:
    return Example(
        id=name,
        at=NOON,
        action=PAY,
        subject=SubjectId("alice"),
        difference=RAISED,
        before=Answered(outcome=Outcome.STEP_UP),
        after=Answered(outcome=Outcome.STEP_UP, rule="new"),
    )


def a_tally(raised: int, same: int = 0) -> ShadowTally:
    counts = Counter({(PAY, RAISED.value): raised, (PAY, SAME): same})
    return ShadowTally(counts=+counts, examples={RAISED.value: an_example()})


class ShadowLogContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    async def test_gives_back_what_was_handed_over_the_oldest_first(self, states):
        log = states[0].shadow
        handed = [a_watched() for _ in range(3)]
        assert all(map(log.add, handed))

        assert list(log.take(2)) == handed[:2]
        assert list(log.take(2)) == handed[2:]
        assert not log.take(2)

    async def test_has_room_for_so_many_and_says_when_there_is_none(self, states):
        log, watched = states[0].shadow, a_watched()
        taken = 0
        while taken < 100_000 and log.add(watched):
            taken += 1
        assert 100 < taken < 100_000
        log.take(1)
        assert log.add(watched)

    async def test_adds_up_what_all_instances_count(self, states: tuple[State, State]):
        digest = secrets.token_hex(16)
        await asyncio.gather(
            *(each.shadow.count(digest, a_tally(2, 1)) for each in states for _ in range(5))
        )
        found = await states[0].shadow.find(digest)

        assert found.counts == {(PAY, RAISED.value): 20, (PAY, SAME): 10}
        assert found.examples[0] == an_example()
        assert found.since == NOON

    async def test_texts_are_counted_apart(self, states: tuple[State, State]):
        digest = secrets.token_hex(16)
        await states[0].shadow.count(digest, a_tally(1))
        assert await states[1].shadow.find(digest + "other") == ShadowFindings()
