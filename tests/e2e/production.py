"""`stepup serve` as an operator runs it: from nothing, on engines that are there already."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from click.testing import CliRunner

from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.cli.main import stepup

POLICY = "apiVersion: stepup/v1\nactions:\n  balance.read: {default: allow}\n"
CLIENTS = "- {client_id: shop, roles: [pep], client_secret: the-secret-of-the-shop}\n"
CREDENTIALS = ("shop", "the-secret-of-the-shop")
QUESTION = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "balance.read"},
    "resource": {"type": "account", "id": "alice"},
}


class Deployment:
    """One database, one Redis, and the settings that every process of it gets."""

    def __init__(self, postgres_url: str, redis_url: str, folder: Path, **settings: str) -> None:
        secrets = DevelopmentSecrets.shared_by("postgresql://stepup:pw@db/stepup")
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("STEPUP_")} | {
            "COLUMNS": "300",
            "STEPUP_ISSUER": "http://localhost:8000",
            "STEPUP_POSTGRES_URL": postgres_url,
            "STEPUP_REDIS_URL": redis_url,
            "STEPUP_KEY_ENCRYPTION_KEYS": secrets.key_encryption_keys,
            "STEPUP_UPSTREAMS": '[{"issuer": "https://id.example", "audience": "stepup"}]',
            "STEPUP_WORKERS": "1",
            "STEPUP_DRAIN_DELAY": "0s",
            **settings,
        }

    def run(self, *arguments: str) -> str:
        """Run one command to its end, here, and return what it said."""
        done = CliRunner().invoke(stepup, arguments, env=self.environ, prog_name="stepup")
        assert done.exit_code == 0, done.output
        return done.stdout

    def refused_start(self) -> subprocess.CompletedProcess[str]:
        """Run a `stepup serve` that ends by itself."""
        return subprocess.run(
            [sys.executable, "-m", "stepup", "serve"],
            # Any free port: what else runs on this machine is not what is tested.
            env={**self.environ, "STEPUP_PORT": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def apply(self) -> None:
        """Give it a policy and a client."""
        for noun, text in (("policy", POLICY), ("client", CLIENTS)):
            path = self.folder / f"{noun}.yaml"
            path.write_text(text)
            self.run(noun, "apply", str(path))

    @contextmanager
    def serving(self, name: str) -> Iterator["Serving"]:
        """Run `stepup serve` on a free port until the block ends."""
        port = _free_port()
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-m", "stepup", "serve"]
        environ = self.environ | {"STEPUP_PORT": str(port)}
        with (
            log.open("w") as output,
            subprocess.Popen(command, env=environ, stdout=output, stderr=output) as process,
        ):
            try:
                yield Serving(process, port, log)
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                finally:
                    process.kill()


class Serving:
    """A `stepup serve`, which may be ready or not."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.origin = f"http://127.0.0.1:{port}"

    def status(self, path: str = "/readyz") -> int:
        """Return the status that a path answers with; 0 when nobody answers."""
        try:
            return httpx2.get(self.origin + path, timeout=10, trust_env=False).status_code
        except httpx2.TransportError:
            return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
