"""Opening a challenge: what goes into it, and what it is called."""

from datetime import timedelta

import pytest

from stepup.domain.assurance import Acr
from stepup.domain.errors import UnmetRequirementError
from stepup.domain.requirement import Requirement
from stepup.usecases import opening
from stepup.usecases.open_challenge import level_of, open_challenge
from tests.support.builders import an_authorization
from tests.support.world import World


def test_identifiers_name_their_region_and_are_never_repeated(world: World):
    identifiers = {opening.drawn(world.ports).challenge_id for _ in range(100)}

    assert len(identifiers) == 100
    assert all(i.startswith("r1.") and len(i.partition(".")[2]) == 22 for i in identifiers)


async def test_a_challenge_is_open_for_ten_minutes(world: World):
    authorization = an_authorization(subject=world.subject())
    challenge = await open_challenge(
        world.ports, authorization, opening.drawn(world.ports), request_uri_digest=None
    )

    assert challenge.expires_at - challenge.opened_at == timedelta(minutes=10)


async def test_recovery_codes_that_were_not_confirmed_answer_nothing(world: World):
    requirement = Requirement(acr=Acr("urn:stepup:acr:1"))
    authorization = an_authorization(subject=world.subject(), requirement=requirement)
    challenge = await open_challenge(
        world.ports, authorization, opening.drawn(world.ports), request_uri_digest=None
    )

    assert challenge.methods == ()


def test_a_level_that_the_ladder_lost_cannot_be_reached(world: World):
    authorization = an_authorization(requirement=Requirement(acr=Acr("urn:gone")))

    with pytest.raises(UnmetRequirementError):
        level_of(world.ports, authorization)
