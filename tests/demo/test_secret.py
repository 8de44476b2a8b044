"""The demo's client secret: no list of processes and no environment shows it."""

import os
import signal
import socket
import time
from pathlib import Path

import httpx2
from click.testing import CliRunner

from stepup.cli.children import start_demo
from stepup.cli.demo import demo

SECRET = "a-secret-that-nobody-else-reads"


def free_ports():
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def wait_for(child, url):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert child.alive
        try:
            return httpx2.get(url).status_code
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the bank does not answer")


def test_a_neighbor_reads_the_environment_and_the_arguments():
    idp, bank = free_ports()
    child = start_demo(["--idp-port", str(idp), "--bank-port", str(bank)], SECRET)
    try:
        assert wait_for(child, f"http://127.0.0.1:{bank}/") == 200
        for name in ("environ", "cmdline"):
            assert SECRET.encode() not in Path(f"/proc/{child.pid}/{name}").read_bytes()
    finally:
        child.stop(signal.SIGTERM)


def test_a_secret_is_needed():
    assert "--client-secret" in CliRunner().invoke(demo, ["serve"]).output


def test_a_pipe_with_nothing_in_it_is_refused():
    read, write = os.pipe()
    os.close(write)
    result = CliRunner().invoke(demo, ["serve", "--client-secret-fd", str(read)])
    assert result.exit_code == 2
    assert "no secret" in result.output


def test_a_number_that_is_no_open_file_is_refused():
    result = CliRunner().invoke(demo, ["serve", "--client-secret-fd", "987"])
    assert result.exit_code == 2
    assert "987" in result.output
