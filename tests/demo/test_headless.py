import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from stepup.cli.demo import demo
from stepup.demo.target import TargetError, read_ready_file, target_of

READY = {
    "issuer": "http://localhost:8000",
    "admin": {"token": "t"},
    "clients": [
        {"client_id": "shop", "client_secret": "x", "redirect_uris": ["http://x"], "roles": []},
        {
            "client_id": "bank",
            "client_secret": "y",
            "redirect_uris": ["http://127.0.0.1:8002/callback"],
            "roles": ["pep", "rp", "rs"],
        },
    ],
    "upstreams": [
        {"issuer": "http://127.0.0.1:9"},
        {"issuer": "http://127.0.0.1:8001", "token_endpoint": "http://127.0.0.1:8001/dev/token"},
    ],
}


def test_reads_what_it_needs_from_the_ready_file(tmp_path):
    path = tmp_path / "ready.json"
    path.write_text(json.dumps(READY))
    target = target_of(read_ready_file(path), "bank-api")
    assert target.client == ("bank", "y")
    assert target.upstream == "http://127.0.0.1:8001"
    assert "y" not in repr(target).split()


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(READY | {"upstreams": []})])
def test_a_file_that_is_no_ready_file(tmp_path, text):
    path = tmp_path / "ready.json"
    path.write_text(text)
    with pytest.raises(TargetError, match="no ready file"):
        read_ready_file(path)


def test_says_what_is_missing():
    result = CliRunner().invoke(demo, ["--headless", "--issuer", "http://localhost:1"])
    assert result.exit_code == 1
    assert "--admin-token" in result.output


def test_a_service_that_is_not_there_fails_the_run():
    arguments = ["--headless", "--json", "--method", "totp", "--issuer", "http://127.0.0.1:1"]
    arguments += ["--admin-token", "a", "--client-id", "bank", "--client-secret", "s"]
    arguments += ["--redirect-uri", "http://x", "--token-endpoint", "http://127.0.0.1:1/dev/token"]
    result = CliRunner().invoke(demo, arguments)
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["ok"] is False
    assert "base login" in document["runs"][0]["failure"]


@pytest.mark.e2e
def test_one_whole_step_up_with_each_method():
    """Starts a service of its own: engines, migrations, everything."""
    command = [sys.executable, "-m", "stepup", "demo", "--headless", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True
