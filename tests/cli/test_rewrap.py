import base64
import json
import os
from datetime import timedelta

import pytest
import redis

from stepup.adapters.redis import keys as redis_keys
from stepup.crypto.sealing import Sealer

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

# Numbers that nobody else uses: other tests leave sealed things in this Redis.
OLD = f"71:{base64.b64encode(bytes(range(32))).decode()}"
NEW = f"72:{base64.b64encode(bytes(32)).decode()}"
BOTH = f"{OLD},{NEW}"


@pytest.fixture
def rewrap(operate, tmp_path):
    """Runs `keys rewrap` on a deployment with its first keys."""
    clients = tmp_path / "clients.yaml"
    clients.write_text("[]")
    operate("client", "apply", str(clients), STEPUP_KEY_ENCRYPTION_KEYS=OLD)

    def run(*arguments: str, keys: str, **more: str):
        return operate("keys", "rewrap", *arguments, STEPUP_KEY_ENCRYPTION_KEYS=keys, **more)

    return run


def test_a_key_is_changed_in_steps_and_dropped_when_nothing_lies_under_it(operate, rewrap):
    phase = {"STEPUP_KEY_ENCRYPTION_ACTIVE": "71"}
    assert "key 71 seals: 8 in PostgreSQL" in rewrap("--check", keys=OLD).output
    assert "key 72 may be dropped" in rewrap("--check", keys=BOTH, **phase).output
    assert rewrap("--check", keys=BOTH).exit_code == 3

    done = rewrap("--json", keys=BOTH)
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["rewrapped"] == {"keys": 8, "authenticators": 0, "copy": False}
    in_database = {key["key"]: key["in_database"] for key in report["keys"]}
    assert (in_database[71], in_database[72]) == (0, 8)

    listed = operate("keys", "list", "--json", STEPUP_KEY_ENCRYPTION_KEYS=NEW)
    assert len(json.loads(listed.output)) == 8
    assert operate("doctor", "--json", STEPUP_KEY_ENCRYPTION_KEYS=NEW).exit_code == 3  # no policy


def test_looking_changes_nothing(rewrap):
    for _ in range(2):
        assert "key 71 is needed: 8 in PostgreSQL" in rewrap("--check", keys=BOTH).output


def test_a_key_that_was_dropped_too_early_is_a_finding(rewrap):
    result = rewrap(keys=NEW)
    assert result.exit_code == 3
    assert "NOT AMONG THE KEYS GIVEN" in result.output


def test_what_redis_forgets_by_itself_is_told_from_the_copy_that_is_renewed(rewrap, redis_url):
    other = f"73:{base64.b64encode(bytes(range(32))).decode()}"
    sealed = Sealer({73: bytes(range(32))}, os.urandom).seal(b"secret", context="x")
    with redis.Redis.from_url(redis_url) as client:
        client.hset(redis_keys.snapshot(), mapping={"v": 1, "sealed": sealed})
        client.expire(redis_keys.snapshot(), timedelta(days=7))
        told = rewrap("--check", keys=f"{BOTH},{other}", STEPUP_KEY_ENCRYPTION_ACTIVE="72")
        assert "1 in Redis, until the copy of the configuration is sealed again" in told.output
        client.set(redis_keys.session("r"), sealed, px=3_600_000)
        told = rewrap("--check", keys=f"{BOTH},{other}", STEPUP_KEY_ENCRYPTION_ACTIVE="72")
        assert "2 in Redis, which forgets the last of them within 1 hour\n" in told.output
        client.delete(redis_keys.snapshot(), redis_keys.session("r"))
