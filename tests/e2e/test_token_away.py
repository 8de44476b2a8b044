"""The PKCS#11 token goes away: who serves goes on, who starts says why it cannot."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.production import Deployment
from tests.e2e.test_key_rotation import decision, wait_until
from tests.support.engines import fresh_database
from tests.support.softhsm import KEY, LABEL, PIN, make_token

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture
def deployment(
    postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deployment]:
    """A deployment whose key-encryption key was wrapped after its first start."""
    soft = make_token(tmp_path)
    for name, value in soft.environment.items():
        monkeypatch.setenv(name, value)
    pin = tmp_path / "pin"
    pin.write_text(PIN)
    named = {
        "STEPUP_PKCS11_MODULE": soft.module,
        "STEPUP_PKCS11_TOKEN": LABEL,
        "STEPUP_PKCS11_KEY": KEY,
        "STEPUP_PKCS11_PIN_FILE": str(pin),
    }
    with fresh_database(postgres_url) as url:
        deployment = Deployment(url, redis_url, tmp_path, **named)
        deployment.run("db", "upgrade")
        deployment.apply()
        kept = tmp_path / "keys"
        kept.write_text(deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"])
        kept.chmod(0o400)
        deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"] = wrapped_in(deployment, kept)
        deployment.environ["STEPUP_KEY_ENCRYPTION_SOURCE"] = "pkcs11"
        yield deployment


def wrapped_in(deployment: Deployment, kept: Path) -> str:
    """Wrap in a process of its own: the library stays with the token that a process met first."""
    command = [sys.executable, "-m", "stepup", "keys", "wrap", "--create", "--from", str(kept)]
    done = subprocess.run(
        command, check=False, env=deployment.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_running_instances_need_no_token_and_a_start_without_it_says_so(
    deployment: Deployment, tmp_path: Path
):
    secret = (tmp_path / "keys").read_text().removeprefix("1:")
    assert secret not in deployment.environ["STEPUP_KEY_ENCRYPTION_KEYS"]
    with deployment.serving("one") as one:
        wait_until(lambda: one.status() == 200, 60)
        (tmp_path / "tokens").rename(tmp_path / "away")
        (tmp_path / "tokens").mkdir()
        assert decision(one).status_code == 200
        # Also a worker that takes another's place.
        [worker] = children_of(one.process.pid)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: children_of(one.process.pid) not in ([], [worker]), 30)
        wait_until(lambda: one.status() == 200, 60)
        assert decision(one).status_code == 200

        refused = deployment.refused_start()
        assert refused.returncode == 1
        assert "PKCS#11 token stepup refused: NoSuchToken" in refused.stderr
        assert "Traceback" not in refused.stderr
        for text in (refused.stdout, refused.stderr, one.log.read_text()):
            assert PIN not in text
            assert secret not in text


def children_of(process: int) -> list[int]:
    """The worker processes of a server."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [
        int(child)
        for child in listed.split()
        if b"stepup.cli.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
