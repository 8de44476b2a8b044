import json

import pytest

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


def test_a_new_deployment_has_no_keys(operate):
    assert json.loads(operate("keys", "list", "--json").output) == []


def test_lists_what_signs_and_what_everything_is_derived_from(operate, tmp_path):
    clients = tmp_path / "clients.yaml"
    clients.write_text("[]")
    operate("client", "apply", str(clients))
    rows = json.loads(operate("keys", "list", "--json").output)
    assert {(row["use"], row["state"]) for row in rows} == {("root", "active"), ("token", "active")}
    shown = operate("keys", "list").output
    assert all(row["kid"] in shown for row in rows)


def test_a_database_that_is_away_is_one_line(operate):
    away = "postgresql://stepup@127.0.0.1:1/stepup"
    result = operate("keys", "list", STEPUP_POSTGRES_URL=away)
    assert result.exit_code == 1
    assert "Error" in result.output
    assert "Traceback" not in result.output
