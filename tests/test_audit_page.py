"""docs/audit.md describes every kind of event, and every detail that an event carries."""

import ast
from pathlib import Path

import stepup
from stepup.domain.audit import AuditEvent, AuditKind, identity_of
from stepup.domain.ids import ChallengeId
from tests.support.audit_page import TOLD, audit_page
from tests.support.determinism import NOON

SOURCES = sorted((Path(stepup.__file__).parent / "usecases").glob("*.py"))


def test_every_kind_is_described():
    assert list(TOLD) == list(AuditKind)
    assert all(f"| `{kind}` |" in audit_page() for kind in AuditKind)


def test_every_kind_is_recorded_by_a_use_case():
    recorded = {
        node.attr
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id == "AuditKind"
    }
    assert recorded == {kind.name for kind in AuditKind}


def test_what_the_page_says_is_there_once_has_a_computed_identity():
    computed = {"challenge", "token", "generation"}
    for kind, told in TOLD.items():
        event = AuditEvent(
            kind=kind,
            at=NOON,
            challenge_id=ChallengeId("r1.c"),
            details={"jti": "r1.c.jti", "generation": "g"},
        )
        # A policy is recorded in the transaction that gives it its number.
        assert (identity_of(event) is not None) == (told.once_per in computed)
