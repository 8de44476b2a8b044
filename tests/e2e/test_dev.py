import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.support.service import running_service, wait_until_gone

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev")
    with running_service(
        folder, "--no-demo", "--workers", "2", "--set", "drain_delay=1500ms"
    ) as running:
        yield running


def test_the_ready_file_says_what_a_driver_needs(service):
    ready = service.ready
    assert ready["pid"] == service.process.pid
    assert ready["engines"]["postgres"].startswith("postgresql://")
    assert ready["engines"]["redis"].startswith("redis+unix://")
    assert len(ready["admin"]["token"]) >= 43
    assert ready["clients"][0]["client_id"] == "bank"
    assert ready["clients"][0]["roles"] == ["pep", "rp", "rs"]
    assert service.get("/readyz").status_code == 200


def test_a_second_start_in_the_same_directory_is_refused_in_one_line(service):
    data = service.log.parent / "data"
    command = [sys.executable, "-m", "stepup", "dev", "--port", "0", "--data-dir", str(data)]
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert f"is in use by process {service.process.pid}" in " ".join(second.stderr.split())
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_refused_in_one_line(service, tmp_path):
    port = service.issuer.rpartition(":")[2]
    command = [sys.executable, "-m", "stepup", "dev", "--port", port, "--data-dir", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert "cannot listen on 127.0.0.1" in second.stderr


def test_one_worker_tells_the_figures_of_all(service):
    for _ in range(20):
        service.get("/livez")
    counted = [
        float(line.rpartition(" ")[2])
        for line in service.get("/metrics").text.splitlines()
        if line.startswith("stepup_http_requests_total") and "/livez" in line
    ]
    assert sum(counted) >= 20


def test_a_worker_that_dies_is_replaced_while_the_other_serves(service):
    workers = [pid for pid in service.descendants() if "cli.worker" in command_of(pid)]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    # Until then it may still accept, and take a connection with it.
    assert wait_until_gone(workers[:1]) == []

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert service.get("/livez").status_code == 200
        now = [pid for pid in service.descendants() if "cli.worker" in command_of(pid)]
        if len(now) == 2 and workers[0] not in now:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the worker was not replaced")


def test_sigterm_drains_then_ends_everything(service):
    """The last test of this file: it stops the service."""
    started = [service.process.pid, *service.descendants()]
    service.process.send_signal(signal.SIGTERM)

    deadline = time.monotonic() + 5
    while service.get("/readyz").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert service.get("/readyz").status_code == 503
    assert service.get("/livez").status_code == 200

    assert service.process.wait(30) == 0
    assert wait_until_gone(started) == []
    assert not (service.log.parent / "ready.json").exists()
    with pytest.raises(httpx2.ConnectError):
        service.get("/livez")


def test_nothing_outlives_a_service_that_is_killed(tmp_path):
    with running_service(tmp_path, "--no-demo") as service:
        started = service.descendants()
        assert len(started) == 3
        service.process.kill()
        assert wait_until_gone(started) == []


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
