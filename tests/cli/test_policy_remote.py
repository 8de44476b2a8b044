"""The verbs over the admin API, with a key: what a pipeline does, and what it must not be able to."""

import asyncio
import json
from collections.abc import Iterator

import msgspec
import pytest
import structlog
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from stepup.cli.main import stepup
from stepup.cli.policy import confirming, remote
from stepup.domain.administrator import SCOPES_OF_KEYS, Scope
from stepup.usecases import api_keys
from tests.support.application import calling
from tests.support.one_app import app_of
from tests.support.world import World

FIRST = "apiVersion: stepup/v1\nactions:\n  pay: {default: {level: phr, max_age: 5m}}\n"
SECOND = FIRST.replace("level: phr", "level: urn:stepup:acr:2")
SERVER = "https://stepup.example"
DRAFTING = (Scope.POLICY_READ, Scope.POLICY_DRAFT)


class Pipeline:
    """Runs verbs against a service in memory, of which it has a key."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, folder) -> None:
        self.world = world
        self.ports = world.ports
        self.key = ""
        self.sent: list[tuple[str, str]] = []
        self.path = folder / "policy.yaml"
        monkeypatch.setattr(remote, "open_client", self.open_client)

    def open_client(self, server: str, key: str):
        self.sent.append((server, key))
        client = calling(app_of(self.ports))
        client.headers["authorization"] = f"Bearer {key}"
        return client

    def give_key(self, *scopes: Scope) -> None:
        made = asyncio.run(
            api_keys.create(
                self.ports, self.world.keyring, "ci", scopes, expires_at=None, by="host:root"
            )
        )
        self.key = made.text

    def needing(self, approvals: int) -> None:
        site = msgspec.structs.replace(self.ports.site, policy_approvals=approvals)
        self.ports = self.ports._replace(site=site)

    def __call__(
        self, verb: str, text: str | None = None, *arguments: str, said: str = "", **more: str
    ) -> Result:
        if text is not None:
            self.path.write_text(text)
            arguments = (str(self.path), *arguments)
        where = () if "--server" in arguments else ("--server", SERVER)
        environ = {"STEPUP_API_KEY": self.key, "COLUMNS": "300"} | more
        command = ["policy", verb, *arguments, *where]
        return CliRunner().invoke(stepup, command, env=environ, input=said)


@pytest.fixture
def pipeline(monkeypatch, tmp_path) -> Iterator[Pipeline]:
    pipeline = Pipeline(World(), monkeypatch, tmp_path)
    structlog.reset_defaults()
    # The service is in this process, and its log does not belong to what a command says.
    with capture_logs():
        pipeline.give_key(*SCOPES_OF_KEYS)
        yield pipeline


def test_plans_applies_pulls_compares_and_rolls_back(pipeline: Pipeline):
    assert pipeline("plan", FIRST).exit_code == 2
    assert pipeline("apply", FIRST).exit_code == 0
    assert pipeline("plan", FIRST).exit_code == 0

    planned = pipeline("plan", SECOND)
    assert (planned.exit_code, "weaker    pay: now level 2" in planned.output) == (2, True)
    applied = pipeline("apply", SECOND, "--yes", "--json")
    assert (applied.exit_code, json.loads(applied.output)["version"]) == (0, 2)
    assert pipeline("pull").output == SECOND
    assert pipeline("diff", None, "@1", "@active").exit_code == 2

    back = pipeline("rollback", None, "1", "--reason", "too weak", "--yes")
    assert "version 3 is now active" in back.output
    assert "not made by `apply`" in pipeline("plan", SECOND).output


def test_what_others_must_approve_waits_as_a_draft(pipeline: Pipeline):
    pipeline("apply", FIRST)
    pipeline.needing(1)

    made = pipeline("apply", SECOND, "--yes", "--json")

    told = json.loads(made.output)
    assert (made.exit_code, told["draft"], told["version"]) == (2, 1, 1)
    assert told["missing"] == "1 of 1 approvals missing"
    assert pipeline("pull").output == FIRST


def test_a_key_that_may_draft_alone_drafts(pipeline: Pipeline):
    pipeline("apply", FIRST)
    asyncio.run(api_keys.revoke(pipeline.ports, "ci", "host:root"))
    pipeline.give_key(*DRAFTING)

    made = pipeline("apply", SECOND, "--yes")

    assert made.exit_code == 2
    assert "draft 1 waits: for somebody who may activate it" in made.output
    assert pipeline("rollback", None, "1", "--reason", "x", "--yes").exit_code == 1

    pipeline.needing(1)
    made = pipeline("apply", SECOND, "--yes")

    assert "waits: 1 of 1 approvals missing, and then somebody who may activate it" in made.output


def test_whoever_has_neither_settings_nor_a_server_is_told_of_both(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(FIRST)

    told = CliRunner().invoke(stepup, ["policy", "plan", str(path)], env={"COLUMNS": "300"})

    assert told.exit_code == 1
    assert "STEPUP_ISSUER is missing" in told.output
    assert "--server" in told.output


def test_a_version_made_meanwhile_is_not_undone_unseen(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    pipeline("apply", FIRST)
    activate = remote.RemoteService.activate

    async def too_late(self, text: str, source: str, *, replacing: int):
        await activate(self, SECOND, "somebody else", replacing=replacing)
        return await activate(self, text, source, replacing=replacing)

    monkeypatch.setattr(remote.RemoteService, "activate", too_late)
    refused = pipeline("apply", FIRST.replace("5m", "1m"), "--yes")

    assert (refused.exit_code, "version 2 became active meanwhile" in refused.output) == (1, True)
    assert pipeline("pull").output == SECOND


def test_a_first_version_made_meanwhile_is_not_undone_unseen(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    activate = remote.RemoteService.activate

    async def too_late(self, text: str, source: str, *, replacing: int):
        await activate(self, SECOND, "somebody else", replacing=replacing)
        return await activate(self, text, source, replacing=replacing)

    monkeypatch.setattr(remote.RemoteService, "activate", too_late)
    refused = pipeline("apply", FIRST)

    assert (refused.exit_code, "became active meanwhile" in refused.output) == (1, True)
    assert pipeline("pull").output == SECOND


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_revoked_key_does_nothing(pipeline: Pipeline, verb: str):
    asyncio.run(api_keys.revoke(pipeline.ports, "ci", "host:root"))

    refused = pipeline(verb, FIRST)

    assert (refused.exit_code, "not_authorized" in refused.output) == (1, True)
    assert pipeline.key not in refused.output


@pytest.mark.parametrize(
    "server",
    [
        "http://stepup.example",
        "stepup.example",
        "ftp://stepup.example",
        "https://key@stepup.example",
        "https://stepup.example?key=1",
        "http://127.0.0.1.evil.example",
    ],
)
def test_a_key_is_shown_to_nobody_in_clear(pipeline: Pipeline, server: str):
    assert pipeline("plan", FIRST, "--server", server).exit_code == 2
    assert pipeline.sent == []


def test_a_key_comes_from_the_environment_or_a_file(pipeline: Pipeline, tmp_path):
    file = tmp_path / "ci.key"
    file.write_text(f"{pipeline.key}\n")

    assert "needs an API key" in pipeline("pull", STEPUP_API_KEY="").output
    assert "needs an API key" in pipeline("pull", STEPUP_API_KEY="two words").output
    assert "needs an API key" in pipeline("pull", STEPUP_API_KEY="suk_\x01secret").output
    arguments: tuple[str, ...] = ("--key-file", str(file))
    assert "no active version" in pipeline("pull", None, *arguments, STEPUP_API_KEY="").output
    assert pipeline.sent == [(SERVER, pipeline.key)]


def test_the_host_s_emergency_exit_is_not_the_pipeline_s(pipeline: Pipeline):
    pipeline("apply", FIRST)

    assert pipeline("apply", SECOND, "--yes", "--force", "fire").exit_code == 2
    assert pipeline("pull").output == FIRST


def test_no_redirect_is_followed_with_the_key():
    opened = remote.open_client("https://stepup.example", "suk_x")
    assert opened.follow_redirects is False


@pytest.mark.parametrize(("said", "code", "active"), [("y\n", 0, SECOND), ("n\n", 1, FIRST)])
def test_somebody_at_a_terminal_is_shown_the_plan_and_asked(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, said: str, code: int, active: str
):
    monkeypatch.setattr(confirming, "is_terminal", lambda: True)
    assert pipeline("apply", FIRST).exit_code == 0

    asked = pipeline("apply", SECOND, said=said)

    assert "weaker    pay: now level 2 instead of phr" in asked.output
    assert "Replace version 1?" in asked.output
    assert (asked.exit_code, pipeline("pull").output) == (code, active)
