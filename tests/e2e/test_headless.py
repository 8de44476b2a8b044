"""The load generator's one run, against a service that it did not start."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


@pytest.mark.parametrize("method", ["totp", "passkey"])
def test_one_whole_step_up_against_a_running_service(service: RunningService, method: str):
    [run] = headless(service, "--method", method)["runs"]
    assert (run["method"], run["ok"], run["failure"]) == (method, True, None)
    assert run["steps"][-1]["name"] == "introspection says inactive"


def test_many_at_once_are_counted_and_timed(service: RunningService):
    report = headless(service, "--repeat", "3", "--concurrency", "2")
    assert (report["ok"], report["runs"], report["failed"]) == (True, 6, 0)
    assert report["step_ups_per_second"] > 0
    assert report["step_up_ms"]["p50"] <= report["step_up_ms"]["p99"]


def test_finds_what_it_needs_of_a_service_that_runs_here(service: RunningService, tmp_path):
    """`--issuer` alone is enough beside `make run`."""
    (tmp_path / "stepup").mkdir()
    (tmp_path / "stepup" / "ready.json").write_text(service.ready_file.read_text())
    command = [sys.executable, "-m", "stepup", "demo", "--headless", "--method", "totp"]
    done = subprocess.run(
        [*command, "--issuer", service.issuer],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def headless(service: RunningService, *options: str) -> dict:
    command = [sys.executable, "-m", "stepup", "demo", "--headless", "--json", *options]
    command += ["--ready-file", str(service.ready_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
