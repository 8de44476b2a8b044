"""The `entities` of a document: read, held against the declared attributes, and bounded."""

import pytest

from stepup.domain.directory import MAX_ENTITIES
from stepup.policy_language import document
from tests.policy_language.documents import a_document, findings, parsed

ACTION = """
attributes:
  role: {type: string, in: subject, enum: [admin, guest]}
  status: {type: string, in: resource}
  floor: {type: int, in: resource}
rules:
  - {id: guests, when: 'has(subject.role) && subject.role == "guest"', deny: true}
  - {id: closed, when: 'has(resource.status) && resource.status == "closed"', deny: true}
  - {id: high, when: 'has(resource.floor) && resource.floor > 3', deny: true}
default: allow
"""


def with_entities(entities: str, action: str = ACTION) -> str:
    return a_document(action, entities=entities)


def test_entities_are_read_in_their_order():
    directory = parsed(
        with_entities("""
        subjects:
          - {type: user, id: bob, properties: {role: admin}}
          - {type: user, id: alice}
        resources:
          - {type: room, id: "7", properties: {status: closed, floor: 2}}
        """)
    ).directory

    assert [entity.id for entity in directory.subjects.values()] == ["bob", "alice"]
    assert directory.subjects["user", "bob"].properties == {"role": "admin"}
    assert directory.resources["room", "7"].properties == {"status": "closed", "floor": 2}


def test_without_entities_nothing_is_known():
    directory = parsed(a_document()).directory

    assert not directory.subjects
    assert not directory.resources


def test_a_document_s_own_actions_are_its_catalog_in_their_order():
    text = "apiVersion: stepup/v1\nactions: {write: {default: deny}, read: {default: allow}}\n"

    assert document.parse(text, version=1).catalog == ("write", "read")


@pytest.mark.parametrize(
    ("entities", "finding"),
    [
        ("subjects: [{id: bob}]", "SU011 `type` is missing"),
        ("subjects: [{type: user}]", "SU011 `id` is missing"),
        ('subjects: [{type: user, id: ""}]', "SU012 `id` must have 1 to 1024 characters"),
        ("subjects: [{type: user, id: 5}]", "SU012 `id` must be text"),
        ("subjects: {bob: {type: user}}", "SU012 `subjects` must be a list of mappings"),
        ("subjects: [{type: user, id: a, name: A}]", "SU010 unknown field `name`"),
        ("subject: []", "SU010 unknown field `subject`; did you mean `subjects`?"),
        (
            "subjects: [{type: user, id: a}, {type: group, id: a}, {type: user, id: a}]",
            "SU023 the user `a` is there twice",
        ),
        (
            "subjects: [{type: user, id: a, properties: {role: boss}}]",
            "SU012 `properties` of `a`: `role` is not one of the declared values",
        ),
        (
            "resources: [{type: room, id: a, properties: {floor: high}}]",
            "SU012 `properties` of `a`: `floor` must be a whole number",
        ),
        (
            "subjects: [{type: user, id: a, properties: {status: closed}}]",
            "SU028 no action declares `status`; nothing but a search's own filter looks at it",
        ),
    ],
)
def test_what_is_wrong_with_an_entity_is_said(entities: str, finding: str):
    assert any(found.startswith(finding) for found in findings(with_entities(entities)))


def test_whose_subject_it_is_needs_no_declaration():
    entities = "subjects: [{type: user, id: a, properties: {issuer: 'https://idp.example'}}]"

    assert findings(with_entities(entities)) == []


def test_a_directory_is_small():
    many = ", ".join(f"{{type: user, id: u{number}}}" for number in range(MAX_ENTITIES + 1))

    assert findings(with_entities(f"subjects: [{many}]")) == [
        f"SU002 `subjects` has more than {MAX_ENTITIES} entries"
    ]


def test_a_test_of_an_action_sees_what_is_known():
    action = (
        ACTION
        + """
tests:
  - name: a guest is known as one
    request: {subject: {id: carol}}
    expect: deny
    rule: guests
  - name: and may be said to be another
    request: {subject: {id: carol, properties: {role: admin}}}
    expect: allow
"""
    )

    parsed(with_entities("subjects: [{type: user, id: carol, properties: {role: guest}}]", action))
