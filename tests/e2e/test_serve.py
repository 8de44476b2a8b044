import os
import socket
import subprocess
import sys

import pytest

from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.postgres import migrate
from stepup.cli.dev_secrets import DevelopmentSecrets
from tests.support.engines import fresh_database, temporary_directory

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]


def environment(postgres_url: str, redis_url: str, **more: str) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secrets = DevelopmentSecrets.shared_by("postgresql://stepup:pw@db/stepup")
    return os.environ | {
        "STEPUP_ISSUER": f"http://localhost:{port}",
        "STEPUP_PORT": str(port),
        "STEPUP_POSTGRES_URL": postgres_url,
        "STEPUP_REDIS_URL": redis_url,
        "STEPUP_KEY_ENCRYPTION_KEYS": secrets.key_encryption_keys,
        "STEPUP_UPSTREAMS": '[{"issuer": "https://id.example", "audience": "stepup"}]',
        "STEPUP_DRAIN_DELAY": "0s",
        "STEPUP_WORKERS": "1",
        **more,
    }


def serve(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stepup", "serve"]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=90
    )


def test_refuses_to_start_without_a_schema_and_says_what_to_run(postgres_url, redis_url):
    with fresh_database(postgres_url) as url:
        refused = serve(environment(url, redis_url))
    assert refused.returncode == 1
    assert "run `stepup db upgrade`" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


def test_refuses_to_start_on_a_misspelt_setting(postgres_url, redis_url):
    refused = serve(environment(postgres_url, redis_url, STEPUP_PROT="1"))
    assert refused.returncode == 1
    assert "STEPUP_PROT is not a setting; did you mean STEPUP_PORT?" in refused.stderr


def test_refuses_a_redis_that_cannot_keep_the_promises(postgres_url):
    with fresh_database(postgres_url) as url, temporary_directory() as directory:
        migrate.upgrade(url)
        server = EmbeddedRedis(directory, {"appendonly": "no", "maxmemory-policy": "allkeys-lru"})
        refused = serve(environment(url, server.url))
        server.stop()
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert refused.returncode == 1
    assert "maxmemory-policy is allkeys-lru" in said
    assert "appendonly is no" in said
    assert "Traceback" not in said
