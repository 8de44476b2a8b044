"""`stepup admin`: the operator of the host says who administers."""

import json
import stat

import pytest

from stepup.crypto import api_keys
from stepup.domain.administrator import Scope

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


def listed(operate, *what: str):
    result = operate("admin", *what, "list", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_appoints_lists_and_dismisses_on_an_empty_deployment(operate):
    assert "nobody" in operate("admin", "list").output

    added = operate("admin", "add", "--sub", "alice", "--scope", "all")
    assert (added.exit_code, added.output.split()[0]) == (0, "alice")
    [row] = listed(operate)
    assert (row["issuer"], row["sub"]) == ("https://id.example", "alice")
    assert row["scopes"] == sorted(Scope)
    assert row["by"].startswith("host:")

    assert operate("admin", "add", "--sub", "alice", "--scope", "policy:read").exit_code == 0
    assert [r["scopes"] for r in listed(operate)] == [["policy:read"]]

    assert operate("admin", "remove", "--sub", "alice").exit_code == 0
    again = operate("admin", "remove", "--sub", "alice", "--json")
    assert (again.exit_code, json.loads(again.output)) == (3, {"removed": False})
    assert listed(operate) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--sub", "alice"), 2),
        (("--sub", "alice", "--scope", "policy:destroy"), 2),
        (("--sub", "alice", "--scope", "all", "--issuer", "https://nobody.example"), 1),
    ],
)
def test_what_would_let_nobody_in_is_refused(operate, arguments, code):
    assert operate("admin", "add", *arguments).exit_code == code
    assert listed(operate) == []


def test_a_key_is_shown_once_and_revoked_by_its_name(operate):
    made = operate(
        "admin", "key", "create", "--name", "ci", "--scope", "policy:draft", "--expires", "90d"
    )
    assert made.exit_code == 0, made.output
    text = made.output.split()[-1]
    assert api_keys.read(text) is not None
    [row] = listed(operate, "key")
    assert (row["name"], row["scopes"], row["revoked_at"]) == ("ci", ["policy:draft"], None)
    assert row["expires_at"] > row["created_at"]
    assert text not in operate("admin", "key", "list").output

    assert operate("admin", "key", "revoke", "ci").exit_code == 0
    assert operate("admin", "key", "revoke", "ci").exit_code == 3
    assert listed(operate, "key") == []
    everything = operate("admin", "key", "list", "--all", "--json")
    assert json.loads(everything.output)[0]["revoked_at"] is not None


def test_two_keys_of_one_name_are_one_and_a_line(operate):
    create = ("admin", "key", "create", "--name", "ci", "--scope", "policy:read")
    assert operate(*create).exit_code == 0
    again = operate(*create)
    assert again.exit_code == 1
    assert "There is a key of this name already." in again.output


@pytest.mark.parametrize("more", [("--scope", "policy:approve"), ("--scope", "all")])
def test_no_key_approves(operate, more):
    assert operate("admin", "key", "create", "--name", "ci", *more).exit_code == 2


@pytest.mark.parametrize("span", ["soon", "0s", "-1d"])
def test_a_key_expires_after_a_span_of_time(operate, span):
    create = ("admin", "key", "create", "--name", "ci", "--scope", "policy:read")
    assert operate(*create, f"--expires={span}").exit_code == 2


def test_a_key_goes_to_a_new_file_of_its_owner_alone(operate, tmp_path):
    target = tmp_path / "ci.key"
    create = ("admin", "key", "create", "--scope", "policy:read", "--to", str(target), "--json")
    made = operate(*create, "--name", "ci")
    assert made.exit_code == 0, made.output
    assert "key" not in json.loads(made.output)
    assert api_keys.read(target.read_text().strip()) is not None
    assert stat.S_IMODE(target.stat().st_mode) == 0o600

    over = operate(*create, "--name", "other")
    assert over.exit_code == 1
    assert [row["name"] for row in listed(operate, "key")] == ["ci"]
