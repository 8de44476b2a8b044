"""Which service a run is made against: a ready file, single options, or one that we start."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 90.0


class TargetError(Exception):
    """Nobody can say what to run against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running service, and what is needed to use it."""

    issuer: str
    admin_token: str = field(repr=False)
    client: tuple[str, str] = field(repr=False)
    redirect_uri: str
    upstream: str
    token_endpoint: str
    audience: str
    upstream_client: str = "bank"

    @property
    def origin(self) -> str:
        """The origin that the challenge pages have."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"


def read_ready_file(path: Path) -> dict[str, str]:
    """Return what a ready file says, under the names of the options.

    Raises:
        TargetError: If it is not one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        client = _client_for_everything(document["clients"])
        upstream = next(u for u in document["upstreams"] if "token_endpoint" in u)
        return {
            "issuer": document["issuer"],
            "admin_token": document["admin"]["token"],
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "redirect_uri": client["redirect_uris"][0],
            "upstream": upstream["issuer"],
            "token_endpoint": upstream["token_endpoint"],
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration) as error:
        raise TargetError(f"{path} is no ready file of a service with its demo: {error}") from error


def target_of(options: Mapping[str, str | None], audience: str) -> Target:
    """Put a target together.

    Raises:
        TargetError: If something is missing.
    """
    given = {name: value for name, value in options.items() if value}
    if "token_endpoint" in given:
        given.setdefault("upstream", given["token_endpoint"].removesuffix("/dev/token"))
    names = ("issuer", "admin_token", "client_id", "client_secret", "redirect_uri")
    missing = [name for name in (*names, "token_endpoint") if name not in given]
    if missing:
        flags = ", ".join("--" + name.replace("_", "-") for name in missing)
        raise TargetError(f"against a running service, also give --ready-file, or {flags}")
    return Target(
        issuer=given["issuer"],
        admin_token=given["admin_token"],
        client=(given["client_id"], given["client_secret"]),
        redirect_uri=given["redirect_uri"],
        upstream=given["upstream"],
        token_endpoint=given["token_endpoint"],
        audience=audience,
        upstream_client=given["client_id"],
    )


@contextmanager
def own_service() -> Iterator[dict[str, str]]:
    """Start `stepup dev` in a directory of its own; stop it and remove everything afterwards.

    Raises:
        TargetError: If it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="stepup-demo-") as folder:
        ready, log = Path(folder, "ready.json"), Path(folder, "log")
        command = [sys.executable, "-m", "stepup", "dev", "--port", "0"]
        command += ["--data-dir", str(Path(folder, "data")), "--ready-file", str(ready)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  our own program with our own arguments
                command, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait(process, ready, log)
            yield read_ready_file(ready)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise TargetError("\n".join(["the service did not start:", *lines[-15:]]))
        time.sleep(0.05)


def _client_for_everything(clients: list[dict[str, Any]]) -> dict[str, Any]:
    """Choose the client that may ask, redeem and consume."""
    wanted = {"pep", "rp", "rs"}
    return next((c for c in clients if wanted <= set(c.get("roles", ()))), clients[0])
