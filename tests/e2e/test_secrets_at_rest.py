"""After a campaign that used every secret there is, none lies readable in an engine or the log.

Both engines are looked at twice: with PostgreSQL away, when what it will be told waits in Redis,
and after it was told.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2
import pyotp
import pytest
from playwright.sync_api import Page

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.demo.headless import METHODS, Run
from stepup.demo.headless_browser import forgetful_jar
from stepup.demo.target import read_ready_file, target_of
from stepup.sdk import StepUp
from tests.e2e.api import Api
from tests.e2e.cluster import StoppableEngine
from tests.e2e.people import Person
from tests.e2e.readable import (
    checkpoint,
    dump_of_postgres,
    dump_of_redis,
    files_below,
    forms_of,
    plant,
    readable_in,
    readable_in_log,
    typed_codes_in,
)
from tests.e2e.secrets_campaign import Recorder, secrets_of_the_deployment
from tests.e2e.test_account import make_recovery_codes
from tests.support.engines import FAST_REDIS
from tests.support.service import RunningService, running_service

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

DRAINED_WITHIN = 30.0
_T = TypeVar("_T")


@dataclass
class Found:
    """What came by, and what the engines hold of it at two moments."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    dumps: dict[str, bytes] = field(default_factory=dict)

    def learn(self, secrets: Mapping[str, bytes]) -> None:
        self.secrets |= secrets


@dataclass
class Deployed:
    """A service on engines of its own."""

    service: RunningService
    postgres: StoppableEngine
    redis: StoppableEngine
    engines: Path

    def files(self, engine: str) -> bytes:
        return b"\n".join(path.read_bytes() for path in files_below(self.engines / engine))


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    directory = DataDirectory(tmp_path / "engines")
    postgres = StoppableEngine(lambda: EmbeddedPostgres(directory, {"fsync": "off"}))
    redis = StoppableEngine(lambda: EmbeddedRedis(directory, FAST_REDIS))
    arguments = ["--postgres", postgres.url, "--redis", redis.url, "--set", "drain_delay=0s"]
    try:
        with running_service(tmp_path, *arguments) as service:
            yield Deployed(service, postgres, redis, tmp_path / "engines")
    finally:
        redis.stop()
        postgres.stop()
        directory.close()


def test_nothing_that_anybody_could_use_lies_readable(deployed: Deployed, page: Page):
    found = Found()
    service = deployed.service
    found.learn({"admin token": service.ready["admin"]["token"].encode()})
    found.learn({f"client secret of {c}": s for c, s in client_secrets(service)})
    found.learn(forms_of(elsewhere(secrets_of_the_deployment(deployed.postgres.url))))
    elsewhere(step_ups_by_app_and_passkey(service, found))
    recovery_codes(service, page, found)
    assert len(found.secrets) > 60, sorted(found.secrets)

    api = Api(service)
    pending = [api.opened() for _ in range(2)]
    checkpoint(deployed.postgres.url)
    deployed.postgres.kill()
    for number, each in enumerate(pending):
        seed = each.subject.app.provisioning()["secret"]
        found.learn(forms_of({f"seed {number}": pyotp.TOTP(seed).byte_secret()}))
        answer_and_redeem(api, each, found)
    api.close()
    found.dumps["Redis, PostgreSQL away"] = dump_of_redis(deployed.redis.url)
    assert b"token.issued" in found.dumps["Redis, PostgreSQL away"]
    found.dumps["files of Redis, PostgreSQL away"] = deployed.files("redis")

    deployed.postgres.start()
    wait_until(lambda: b"token.revoked" in dump_of_postgres(deployed.postgres.url))
    checkpoint(deployed.postgres.url)
    found.dumps["PostgreSQL"] = dump_of_postgres(deployed.postgres.url)
    found.dumps["Redis"] = dump_of_redis(deployed.redis.url)
    for engine in ("postgres", "redis", "logs"):
        found.dumps[f"files of {engine}"] = deployed.files(engine)

    check(found, service)
    assert planted_secrets_are_found(deployed, found)


def planted_secrets_are_found(deployed: Deployed, found: Found) -> bool:
    """The control: whoever wrote a secret down would be caught, in both engines."""
    seed = next(name for name in found.secrets if name.endswith("as hex"))
    leak = found.secrets[seed].decode()
    plant(deployed.postgres.url, deployed.redis.url, leak)
    dumps = dump_of_postgres(deployed.postgres.url), dump_of_redis(deployed.redis.url)
    return all(seed in readable_in(dump, found.secrets) for dump in dumps)


def check(found: Found, service: RunningService) -> None:
    """Nothing secret stands anywhere; what is not secret does, or we would look elsewhere."""
    for where, dump in found.dumps.items():
        assert readable_in(dump, found.secrets) == set(), where
    for where in ("PostgreSQL", "Redis", "Redis, PostgreSQL away"):
        assert typed_codes_in(found.dumps[where], found.codes) == set(), where
    assert readable_in_log(service, found.secrets) == set()
    for where in ("PostgreSQL", "Redis", "files of postgres", "files of redis"):
        assert b"payments.transfer" in found.dumps[where], where
    # Digests and sealed things are there: it is not that nothing was kept.
    for table in (b"authenticator: ", b"key: ", b"client: ", b"audit_event: "):
        assert table in found.dumps["PostgreSQL"]


async def step_ups_by_app_and_passkey(service: RunningService, found: Found) -> None:
    """Base login, push, answer, redeem, introspect, consume and revoke, with each method."""
    target = target_of(read_ready_file(service.ready_file), "bank-api")
    su = StepUp(issuer=target.issuer, audience=target.audience)
    recorder = Recorder()
    async with httpx2.AsyncClient(transport=recorder, cookies=forgetful_jar(), timeout=15) as http:
        for method in METHODS:
            run = Run(target, http, su, method)
            await run.prepare()
            await run.step_up()
            assert run.failure is None
            seed = run.app.provisioning()["secret"]
            found.learn(forms_of({f"seed of {method}": pyotp.TOTP(seed).byte_secret()}))
    found.learn({name: text.encode() for name, text in recorder.secrets.items()})
    found.codes |= recorder.codes


def recovery_codes(service: RunningService, page: Page, found: Found) -> None:
    """Make a set on the account pages, and step up with one of it."""
    person = Person(page, service.issuer, service.bank)
    app = person.add_app("Lost phone")
    codes = make_recovery_codes(person, page, app.now())
    remember_cookies(page, found)
    page.get_by_role("button", name="Sign out").click()
    person.open_account("/account/add/app")
    page.get_by_role("link", name="Try another way").click()
    page.get_by_role("link", name="recovery code").click()
    person.type_code(codes[1])
    page.get_by_role("link", name="Open app on this device").wait_for()
    remember_cookies(page, found)
    found.learn(forms_of({"seed of the lost phone": app.byte_secret()}))
    for code in codes:
        bare = code.replace("-", "")
        for form in {code, bare, code.lower(), bare.lower(), code.upper(), bare.upper()}:
            found.learn({f"recovery code {form}": form.encode()})


def remember_cookies(page: Page, found: Found) -> None:
    for cookie in page.context.cookies():
        if cookie["name"].endswith(("account", "challenge", "login")) or "su" in cookie["name"]:
            value = cookie["value"].rpartition(".")[2]
            if len(value) >= 16:
                found.learn({f"cookie {cookie['name']} {len(found.secrets)}": value.encode()})


def answer_and_redeem(api: Api, pending, found: Found) -> None:
    """Answer, redeem and revoke, with nobody to tell but Redis."""
    typed = pending.subject.app.code()
    answer = api.answer(pending.challenge_id, typed, "answer")
    assert answer.status_code == 200, answer.text
    code = answer.json()["code"]
    token = api.redeem(code, "redeem").json()["access_token"]
    assert api.revoke(token).status_code == 200
    found.codes.add(typed)
    found.learn({f"code {typed}": code.rpartition(".")[2].encode()})
    found.learn({f"token {typed}": token.rpartition(".")[2].encode()})


def client_secrets(service: RunningService) -> Iterator[tuple[str, bytes]]:
    for client in service.ready["clients"]:
        yield client["client_id"], client["client_secret"].encode()


def elsewhere(work: Awaitable[_T]) -> _T:
    """Run it where no browser keeps the event loop."""

    async def run() -> _T:
        return await work

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DRAINED_WITHIN
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
