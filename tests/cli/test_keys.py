import json
from datetime import datetime, timedelta

import pytest

from stepup.domain.keyring import KeyPlan
from stepup.usecases import rotate as rotation

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


def test_a_new_deployment_has_no_keys(operate):
    assert json.loads(operate("keys", "list", "--json").output) == []
    assert "the first start makes them" in operate("keys", "list").output


def test_lists_what_signs_and_what_everything_is_derived_from(operate, tmp_path):
    clients = tmp_path / "clients.yaml"
    clients.write_text("[]")
    operate("client", "apply", str(clients))
    rows = json.loads(operate("keys", "list", "--json").output)
    assert {row["state"] for row in rows} == {"active"}
    assert {(row["use"], row["algorithm"], row["region"]) for row in rows} == {
        ("root", "HKDF-SHA256", None),
        *((str(ring.use), ring.algorithm, "r1") for ring in KeyPlan(region="r1").rings),
    }
    header, *lines = operate("keys", "list").output.splitlines()
    assert header.split() == [
        "KID",
        "USE",
        "ALGORITHM",
        "REGION",
        "STATE",
        "CREATED",
        "SINCE",
        "UNTIL",
    ]
    assert [line.split()[0] for line in lines] == [row["kid"] for row in rows]


def test_a_database_that_is_away_is_one_line(operate):
    away = "postgresql://stepup@127.0.0.1:1/stepup"
    result = operate("keys", "list", STEPUP_POSTGRES_URL=away)
    assert result.exit_code == 1
    assert "Error" in result.output
    assert "Traceback" not in result.output


@pytest.fixture
def kids(operate, tmp_path):
    """A deployment with its first keys; says how its signing keys stand."""
    clients = tmp_path / "clients.yaml"
    clients.write_text("[]")
    operate("client", "apply", str(clients))

    def standing(*options: str) -> dict[str, str]:
        rows = json.loads(operate("keys", "list", "--json", *options).output)
        return {row["kid"]: row["state"] for row in rows if row["use"] == "token"}

    return standing


def test_a_rotation_is_announced_and_asked_for_once(operate, kids):
    assert "a new key" in operate("keys", "rotate", "--dry-run").output
    assert list(kids().values()) == ["active"]
    first = json.loads(operate("keys", "rotate", "--json").output)
    again = json.loads(operate("keys", "rotate", "--json").output)

    assert first == again
    assert kids()[first["kid"]] == "announced"
    assert first["until"] > first["created_at"]
    assert first["kid"] in operate("keys", "rotate", "--dry-run").output


def test_one_ring_is_rotated_and_the_others_stay(operate, kids):
    before = kids()
    options = ("--use", "id_token", "--algorithm", "RS256", "--json")
    key = json.loads(operate("keys", "rotate", "--emergency", *options).output)

    assert (key["use"], key["algorithm"], key["state"]) == ("id_token", "RS256", "active")
    assert kids() == before
    rows = json.loads(operate("keys", "list", "--json").output)
    [retired] = [row for row in rows if row["state"] == "retiring"]
    assert (retired["use"], retired["algorithm"]) == ("id_token", "RS256")


@pytest.mark.parametrize(
    "options", [("--use", "token", "--algorithm", "RS256"), ("--use", "root")], ids=str
)
def test_a_ring_that_no_setting_names_is_not_rotated(operate, kids, options):
    result = operate("keys", "rotate", *options)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_key_for_anything_is_revoked_and_its_successor_signs(operate, kids):
    rows = json.loads(operate("keys", "list", "--json").output)
    for use in ("set", "status_list", "introspection"):
        leaked = next(row for row in rows if row["use"] == use)
        told = json.loads(operate("keys", "revoke", leaked["kid"], "--yes", "--json").output)
        now = {row["kid"]: row for row in json.loads(operate("keys", "list", "--json").output)}
        assert leaked["kid"] not in now
        assert [now[told["active"]][name] for name in ("use", "algorithm", "state")] == [
            use,
            leaked["algorithm"],
            "active",
        ]


def test_in_an_emergency_the_next_key_signs_at_once(operate, kids):
    [old] = kids()
    result = operate("keys", "rotate", "--emergency")
    assert result.exit_code == 0, result.output
    standing = kids()

    assert standing.pop(old) == "retiring"
    assert list(standing.values()) == ["active"]
    assert f"{next(iter(standing))} signs" in result.output


def test_an_emergency_is_tried_first_and_not_repeated_by_mistake(operate, kids):
    rotate = ("keys", "rotate", "--emergency")
    told = operate(*rotate, "--dry-run").output
    assert "a new key, which no verifier knows, would be made and sign at once" in told
    following = json.loads(operate("keys", "rotate", "--json").output)["kid"]
    told = operate(*rotate, "--dry-run").output
    assert told.startswith(f"{following}, announced ")
    assert told.endswith(", would sign at once\n")
    assert operate(*rotate).exit_code == 0
    before = kids()

    for refused in (operate(*rotate), operate(*rotate, "--dry-run")):
        assert refused.exit_code == 3
        assert len(refused.output.splitlines()) == 1
        assert "--force" in refused.output
    assert kids() == before
    assert operate(*rotate, "--force").exit_code == 0
    assert kids()[following] == "retiring"


def test_a_rotation_of_which_nobody_knows_whether_it_was_done_is_one_line(
    operate, kids, monkeypatch: pytest.MonkeyPatch
):
    async def lost(*_given: object, **_more: object):
        raise rotation.KeyChangeUnknownError

    monkeypatch.setattr(rotation, "rotate_at_once", lost)
    result = operate("keys", "rotate", "--emergency")
    assert result.exit_code == 1
    assert "nobody knows whether it was done" in result.output
    assert "try again" not in result.output


def test_a_revoked_key_is_gone_and_does_not_come_back(operate, kids):
    [old] = kids()
    done = json.loads(operate("keys", "revoke", old, "--yes", "--json").output)

    assert kids() == {done["active"]: "active"}
    assert kids("--all")[old] == "revoked"
    assert operate("keys", "restore", old).exit_code == 3


def test_revoking_asks_first(operate, kids):
    [old] = kids()
    assert operate("keys", "revoke", old).exit_code == 1
    assert kids() == {old: "active"}


def test_a_key_that_does_not_exist_is_a_finding(operate, kids):
    result = operate("keys", "revoke", "nothing", "--yes")
    assert result.exit_code == 3
    assert "there is no signing key nothing" in result.output


def test_what_revoking_would_do_is_said_without_doing_it(operate, kids):
    [only] = kids()
    told = operate("keys", "revoke", only, "--dry-run").output
    assert "every token that it signed would be refused" in told
    assert "a new key would sign" in told
    following = json.loads(operate("keys", "rotate", "--json").output)["kid"]
    for kid, expected in ((only, following), (following, only)):
        told = operate("keys", "revoke", kid, "--dry-run", "--json")
        assert json.loads(told.output) == {"revoked": None, "active": expected}
    assert operate("keys", "revoke", "nothing", "--dry-run").exit_code == 3
    assert kids() == {only: "active", following: "announced"}


def test_a_retired_key_stays_for_as_long_as_an_instance_may_be_unheard(operate, kids):
    [old] = kids()
    operate("keys", "rotate", "--emergency")

    def published_for(**settings: str) -> timedelta:
        rows = json.loads(operate("keys", "list", "--json", **settings).output)
        row = next(row for row in rows if row["kid"] == old)
        return datetime.fromisoformat(row["until"]) - datetime.fromisoformat(row["since"])

    assert published_for() == timedelta(hours=24, minutes=20)
    assert published_for(STEPUP_SNAPSHOT_USABLE_FOR="1h") == timedelta(hours=1, minutes=20)
