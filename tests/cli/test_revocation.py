"""`stepup revocation`: the operator of the host ends tokens."""

import json

import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


def test_ends_and_lists(operate):
    made = operate("revocation", "add", "subject", "alice", "--reason", "lost phone", "--json")
    assert made.exit_code == 0, made.output
    row = json.loads(made.output)
    assert row["what"] == "subject"
    said = operate(
        "revocation", "add", "authenticator", "app", "--sub", "alice", "--reason", "stolen"
    )
    assert "authenticator app is revoked" in said.output
    listed = json.loads(operate("revocation", "list", "--json").output)
    assert [each["what"] for each in listed] == ["authenticator", "subject"]
    assert listed[0]["value"].endswith("/app")
    assert "subject" in operate("revocation", "list").output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("subject", "alice"), 2),
        (("planet", "mars", "--reason", "x"), 2),
        (("authenticator", "app", "--reason", "x"), 1),
    ],
)
def test_what_does_not_say_what_and_why_is_refused(operate, arguments, code):
    assert operate("revocation", "add", *arguments).exit_code == code
