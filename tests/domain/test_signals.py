from datetime import UTC, datetime

import pytest

from stepup.domain.ids import Subject
from stepup.domain.signals import (
    Initiator,
    caep_payload,
    identifier_of,
    stream_identifier,
    subject_of,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
ALICE = Subject("https://idp.example", "alice")
ISS_SUB = {"format": "iss_sub", "iss": "https://idp.example", "sub": "alice"}


@pytest.mark.parametrize(
    ("sub_id", "named"),
    [
        pytest.param(ISS_SUB, ALICE, id="issuer and name"),
        pytest.param({"format": "complex", "user": ISS_SUB}, ALICE, id="the user of a complex one"),
        pytest.param(
            {"format": "complex", "user": ISS_SUB, "device": {"format": "opaque", "id": "1"}},
            ALICE,
            id="a user and a device",
        ),
        pytest.param({"format": "complex", "device": ISS_SUB}, None, id="a device is nobody"),
        pytest.param(
            {"format": "complex", "user": {"format": "complex", "user": ISS_SUB}},
            None,
            id="complex in complex, which SSF does not know",
        ),
        pytest.param({"format": "email", "email": "alice@example.com"}, None, id="a mail address"),
        pytest.param({"format": "opaque", "id": "alice"}, None, id="an opaque name"),
        pytest.param({"format": "iss_sub", "iss": "", "sub": "alice"}, None, id="no issuer"),
        pytest.param({"format": "iss_sub", "iss": "x", "sub": 7}, None, id="a number"),
        pytest.param({"iss": "x", "sub": "alice"}, None, id="no format"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_names_a_person_only_beyond_doubt(sub_id, named):
    assert subject_of(sub_id) == named


def test_rfc9493_3_2_3_a_subject_is_named_by_issuer_and_sub():
    assert identifier_of(ALICE) == ISS_SUB
    assert subject_of(identifier_of(ALICE)) == ALICE


def test_ssf_8_1_4_1_a_stream_is_an_opaque_subject():
    assert stream_identifier("s1") == {"format": "opaque", "id": "s1"}


def test_caep_2_optional_members_are_left_out():
    assert caep_payload(NOW, Initiator.USER, current_level="phr", previous_level=None) == {
        "current_level": "phr",
        "event_timestamp": 1795262400,
        "initiating_entity": "user",
    }
    reason = caep_payload(NOW, Initiator.ADMIN, "Locked")["reason_admin"]
    assert reason == {"en": "Locked"}
