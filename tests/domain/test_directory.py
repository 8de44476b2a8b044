"""What a policy knows of subjects and resources, and what that adds to a request."""

import msgspec
import pytest

from stepup.domain.decision_request import DecisionRequest
from stepup.domain.directory import Directory, KnownEntity
from stepup.domain.ids import ActionName

BOB = KnownEntity(type="user", id="bob", properties={"role": "admin", "floor": 3})
CAROL = KnownEntity(type="user", id="carol")
ROBOT = KnownEntity(type="robot", id="bob", properties={"role": "admin"})
REPORT = KnownEntity(type="file", id="report", properties={"secret": True})
DIRECTORY = Directory(
    subjects={entity.key: entity for entity in (BOB, CAROL, ROBOT)},
    resources={REPORT.key: REPORT},
)
REQUEST = DecisionRequest(
    subject_type="user",
    subject_id="bob",
    action=ActionName("read"),
    resource_type="file",
    resource_id="report",
)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, {"role": "admin", "floor": 3}),
        ({"role": "reader"}, {"role": "reader", "floor": 3}),
        ({"role": None}, {"role": None, "floor": 3}),
        ({"team": "red"}, {"role": "admin", "floor": 3, "team": "red"}),
    ],
    ids=["nothing sent", "sent otherwise", "sent as null", "sent besides"],
)
def test_what_is_known_is_added_and_what_was_sent_counts(sent: dict, expected: dict):
    completed = DIRECTORY.completed(msgspec.structs.replace(REQUEST, subject=sent))

    assert completed.subject == expected
    assert completed.resource == {"secret": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_id": "dave", "resource_id": "other"},
        {"subject_type": "group", "resource_type": "folder"},
    ],
)
def test_nothing_is_added_to_strangers(changes: dict):
    request = msgspec.structs.replace(REQUEST, **changes)

    assert DIRECTORY.completed(request) == request


def test_an_empty_directory_costs_a_request_nothing():
    assert Directory().completed(REQUEST) is REQUEST


def test_one_identifier_in_two_types_is_two_entities():
    found = [
        entity.type
        for entity in DIRECTORY.find_subjects(
            msgspec.structs.replace(REQUEST, subject_type="robot")
        )
    ]

    assert found == ["robot"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["bob", "carol"]),
        ({"role": "admin"}, ["bob"]),
        ({"role": "admin", "floor": 4}, []),
        ({"floor": "3"}, []),
        ({"role": None}, []),
    ],
)
def test_entities_are_found_by_type_and_properties(wanted: dict, expected: list[str]):
    request = msgspec.structs.replace(REQUEST, subject=wanted)

    assert [entity.id for entity in DIRECTORY.find_subjects(request)] == expected


@pytest.mark.parametrize(
    ("listed", "issuer", "sent", "is_known"),
    [
        (None, None, None, True),
        (None, "https://b.example", None, False),
        ("https://b.example", "https://b.example", None, True),
        ("https://b.example", None, None, False),
        ("https://b.example", "https://c.example", None, False),
        ("https://a.example", None, "https://a.example", True),
        ("https://b.example", None, ["https://b.example"], False),
    ],
)
def test_attack_a_namesake_at_another_issuer_has_the_role(
    listed: str | None, issuer: str | None, sent: object, is_known: bool
):
    bob = KnownEntity(
        type="user",
        id="bob",
        properties={"role": "admin"} | ({"issuer": listed} if listed else {}),
    )
    asked = msgspec.structs.replace(
        REQUEST, subject_issuer=issuer, subject={"issuer": sent} if sent else {}
    )
    directory = Directory(subjects={bob.key: bob})

    assert ("role" in directory.completed(asked).subject) is is_known
    assert directory.knows_subject_of(asked) is is_known


def test_where_none_is_listed_everybody_is_taken_at_their_word():
    stranger = msgspec.structs.replace(REQUEST, subject_id="dave", resource_id="other")

    assert not DIRECTORY.knows_subject_of(stranger)
    assert not DIRECTORY.knows_resource_of(stranger)
    assert Directory().knows_subject_of(stranger)
    assert Directory().knows_resource_of(stranger)
