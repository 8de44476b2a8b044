"""What may stand in the open place of a request (AuthZEN 1.0 section 8)."""

import msgspec
import pytest

from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.ids import ActionName
from stepup.domain.policy import Policy
from stepup.domain.search import candidates
from stepup.policy_language import document

DOCUMENT = """
apiVersion: stepup/v1
entities:
  subjects:
    - {type: user, id: alice, properties: {team: red}}
    - {type: user, id: bob}
    - {type: robot, id: r2}
  resources:
    - {type: file, id: report}
    - {type: file, id: plan}
actions:
  write: {default: allow}
  read: {default: allow}
"""
POLICY = document.parse(DOCUMENT, version=1)
REQUEST = DecisionRequest(
    subject_type="user",
    subject_id="alice",
    action=ActionName("read"),
    resource_type="file",
    resource_id="report",
    context={"a": 1},
)


def found(searched: Entity, policy: Policy = POLICY, **changes: object) -> list[str]:
    request = msgspec.structs.replace(REQUEST, **changes)
    opened = {Entity.SUBJECT: "subject_id", Entity.RESOURCE: "resource_id"}.get(searched, "action")
    return [getattr(each, opened) for each in candidates(policy, searched, request)]


@pytest.mark.parametrize(
    ("searched", "changes", "expected"),
    [
        (Entity.SUBJECT, {}, ["alice", "bob"]),
        (Entity.SUBJECT, {"subject_id": "nobody"}, ["alice", "bob"]),
        (Entity.SUBJECT, {"subject_type": "robot"}, ["r2"]),
        (Entity.SUBJECT, {"subject_type": "spaceship"}, []),
        (Entity.SUBJECT, {"subject": {"team": "red"}}, ["alice"]),
        (Entity.SUBJECT, {"resource_id": "nothing"}, []),
        (Entity.SUBJECT, {"resource_type": "spaceship"}, []),
        (Entity.RESOURCE, {}, ["report", "plan"]),
        (Entity.RESOURCE, {"resource_id": "ignored"}, ["report", "plan"]),
        (Entity.RESOURCE, {"resource_type": "spaceship"}, []),
        (Entity.RESOURCE, {"subject_id": "nobody"}, []),
        (Entity.RESOURCE, {"resource": {"secret": True}}, []),
        (Entity.ACTION, {}, ["write", "read"]),
        (Entity.ACTION, {"action": "ignored"}, ["write", "read"]),
        (Entity.ACTION, {"subject_id": "nobody"}, []),
        (Entity.ACTION, {"subject_type": "robot"}, []),
        (Entity.ACTION, {"resource_id": "nothing"}, []),
    ],
    ids=repr,
)
def test_8_candidates_are_what_is_known_in_the_order_of_the_document(
    searched: Entity, changes: dict, expected: list[str]
):
    assert found(searched, **changes) == expected


def test_a_candidate_is_the_request_with_its_open_place_filled():
    first, _ = candidates(POLICY, Entity.SUBJECT, msgspec.structs.replace(REQUEST, subject={}))

    assert first == msgspec.structs.replace(REQUEST, subject_id="alice")


def test_our_own_actions_are_nothing_that_a_search_finds():
    assert "account.authenticator.add" in POLICY.actions
    assert set(found(Entity.ACTION)) == {"read", "write"}


def test_without_a_directory_actions_are_found_for_anybody_and_entities_are_not():
    policy = document.parse("apiVersion: stepup/v1\nactions: {see: {default: allow}}", version=1)

    assert found(Entity.ACTION, policy) == ["see"]
    assert found(Entity.SUBJECT, policy) == found(Entity.RESOURCE, policy) == []
