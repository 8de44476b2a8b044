"""What conditions see of a request, told for people."""

from datetime import timedelta

import pytest

from stepup.domain.condition import Reading, Source
from stepup.policy_language import document
from tests.policy_language.documents import a_document
from tests.support.builders import a_decision_request, an_approval
from tests.support.determinism import NOON

ATTRIBUTES = """
    attributes:
      amount: {type: decimal, required: true}
      known: {type: bool, default: false}
      ip: {type: ip, in: context}
      since: {type: timestamp}
      wait: {type: duration}
      iban: {type: string, in: resource, sensitive: true}
    default: allow
"""
ACTION = document.parse(a_document(ATTRIBUTES), version=1).actions["pay"]


def readings(context=None, **request) -> dict[str, Reading]:
    asked = a_decision_request(**{"action": "pay", "action_properties": {}} | request)
    return {r.path: r for r in ACTION.schema.readings(asked, context, NOON)}


def test_a_decimal_is_shown_as_conditions_see_it_and_as_it_was_sent():
    amount = readings(action_properties={"amount": "1500.00"})["action.amount"]
    assert (amount.source, amount.value, amount.sent) == (Source.SENT, 150000, "1500.00")


def test_what_was_not_sent_has_its_default_or_is_absent():
    seen = readings()
    known, ip = seen["action.known"], seen["context.ip"]
    assert (known.source, known.value, known.sent) == (Source.DEFAULT, False, None)
    assert (ip.source, ip.value, ip.error) == (Source.ABSENT, None, None)
    assert seen["action.amount"].error == "is missing"


def test_what_is_wrong_says_why():
    amount = readings(action_properties={"amount": "lots"})["action.amount"]
    assert (amount.value, amount.sent) == (None, "lots")
    assert "must be an amount" in amount.error


@pytest.mark.parametrize("iban", ["DE02120300000000202051", 7])
def test_what_is_sensitive_is_never_shown_right_or_wrong(iban):
    seen = readings(resource={"iban": iban})["resource.iban"]
    assert seen.sensitive
    assert (seen.value, seen.sent) == (None, None)
    assert str(iban) not in repr(seen)


def test_times_are_written_as_people_write_them():
    sent = {"since": "2026-01-31T12:00:00+02:00", "wait": 90}
    seen = readings(action_properties=sent)
    assert seen["action.since"].value == "2026-01-31T10:00:00+00:00"
    assert seen["action.wait"].value == "1m30s"


def test_what_nobody_declares_is_there_too():
    seen = readings(an_approval("phr", age=timedelta(seconds=40)).context)
    assert seen["subject.id"].value == "alice"
    assert (seen["auth.acr"].value, seen["auth.level"].value) == ("phr", 2)
    assert seen["auth.age_seconds"].value == 40
    assert seen["now"].value == NOON.isoformat()


def test_without_an_authentication_it_has_no_age():
    seen = readings()
    assert (seen["auth.acr"].value, seen["auth.level"].value) == ("", -1)
    assert seen["auth.age_seconds"].source is Source.ABSENT
