"""Every script: its form, that each path that says ok writes, and what it leaves behind."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from importlib.resources import files

import pytest

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.scripts import Argument, Fenced, Script
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.account import AccountSession, BaseIdentity, PendingEnrollment, PendingLogin
from stepup.domain.assurance import Method
from stepup.domain.challenge import Challenge
from stepup.domain.errors import DependencyUnavailableError, NewerFormatError
from stepup.domain.ids import AuthenticatorId, CeremonyId, TokenId
from stepup.domain.revocation import Revocation
from stepup.ports import AuthenticatorUsed, Confirmation, PlaceWanted
from tests.contracts.accounts import AN_ELEVATION
from tests.contracts.challenges import answer, begin_touch
from tests.contracts.codes import until_unspent
from tests.contracts.generations import current
from tests.contracts.snapshots import ISSUER, a_configuration
from tests.support.builders import (
    A_TOTP,
    A_TOTP_SECRET,
    a_challenge,
    a_presented_code,
    a_proof,
    a_refresh_grant,
    a_subject,
    an_attempt,
    an_authenticator,
)
from tests.support.determinism import CountingEntropy, StillClock

FOLDER = files("stepup.adapters.redis") / "scripts"
MOST_LINES = 30
# Reads, what nobody waits for an acknowledgement of, and what an operator says.
NEVER_SPENT = {
    "announce_change",
    "append_records",
    "beat_revocations",
    "begin_ceremony",
    "confirm_snapshot",
    "count_shadow",
    "forgive_attempts",
    "keep_in_session",
    "keep_snapshot",
    "read_confirmation",
    "plan_move",
    "read_hash",
    "read_marks",
    "read_live_revocations",
    "read_places",
    "read_revocations",
}
# A replica answers them, so what they say is fenced; in return they work without replicas.
READ_ANYWHERE = {"read_live_revocations", "read_places", "read_revocations"}


def body_of(script: Script) -> list[str]:
    lines = script.source.splitlines()[1:]
    while lines and lines[0].startswith("--"):
        lines.pop(0)
    return lines


@pytest.mark.parametrize("script", scripts.ALL, ids=lambda script: script.name)
class TestForm:
    def test_begins_with_a_shebang(self, script):
        """Without it a replica answers reads, and a write is refused half way."""
        reads_anywhere = script.name in READ_ANYWHERE
        shebang = "#!lua flags=no-writes" if reads_anywhere else "#!lua"
        assert script.source.startswith(f"{shebang}\n-- ")
        assert not reads_anywhere or script.fenced is Fenced.ALL

    def test_has_a_header_that_says_what_goes_in_and_out(self, script):
        header = script.source[: script.source.index("\n".join(body_of(script)))]
        used = re.findall(r"KEYS\[\d\]", script.source)
        assert "-- KEYS[1]  " in header
        assert "-- returns  {" in header
        assert set(used) <= set(re.findall(r"KEYS\[\d\]", header))

    def test_is_short(self, script):
        assert len(body_of(script)) <= MOST_LINES
        assert max(map(len, script.source.splitlines())) <= 120

    def test_builds_no_key_and_asks_no_clock(self, script):
        body = "\n".join(body_of(script))
        assert "su:" not in body
        assert "'TIME'" not in body
        first_arguments = re.findall(r"redis\.call\('[A-Z]+', ([A-Za-z]+)", body)
        assert set(first_arguments) == {"KEYS"}


def test_every_file_is_a_script_that_is_loaded():
    names = {path.name.removesuffix(".lua") for path in FOLDER.iterdir()}
    assert names == {script.name for script in scripts.ALL}


@pytest.fixture
async def opened(redis_url: str, clock: StillClock) -> AsyncIterator[RedisState]:
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    async with RedisState(redis_url, sealer, clock) as opened:
        yield opened


@pytest.mark.redis
class TestWrites:
    """A repetition that does not write gets an acknowledgement that means nothing."""

    async def test_every_ok_of_a_spend_writes_even_when_repeated(self, opened, clock, monkeypatch):
        seen: dict[str, list[int]] = {}
        spend = opened.client.spend

        async def watched(script: Script, on: list[str], args=(), **options):
            before = await changes_of(opened)
            reply = await spend(script, on, args, **options)
            if reply.status == "ok":
                seen.setdefault(script.name, []).append(await changes_of(opened) - before)
            return reply

        monkeypatch.setattr(opened.client, "spend", watched)
        await opened.client.call("DEL", keys.generation())
        await a_whole_life(opened, clock, repetitions=2)
        await a_lost_generation(opened, seen)

        assert seen.keys() == {script.name for script in scripts.ALL} - NEVER_SPENT
        assert {name: min(counts) for name, counts in seen.items() if min(counts) < 1} == {}

    async def test_opening_is_repeated_by_its_own_bytes_alone(self, opened):
        name = f"su:{{test.{an_attempt()}}}:h"
        for sealed, status in (("mine", "ok"), ("mine", "ok"), ("another's", "taken")):
            args = [60_000, sealed, "v", 1, "state", "pending"]
            before = await changes_of(opened)
            reply = await opened.client.spend(scripts.OPEN_CHALLENGE, [name], args)
            assert reply.status == status
            assert (await changes_of(opened) > before) == (status == "ok")

    @pytest.mark.parametrize(
        ("script", "count", "args"),
        [
            (scripts.READ_HASH, 1, []),
            (scripts.READ_MARKS, 3, []),
            (scripts.CLAIM_BROWSER, 1, [0, "uri", "browser"]),
            (scripts.BEGIN_CEREMONY, 2, [0, "c", "bytes", 9, 3]),
            (scripts.BEGIN_ANSWER, 3, [0, "totp", "attempt", 5, ""]),
            (scripts.FINISH_ANSWER, 2, [0, "attempt", "{}", 1]),
            (scripts.CANCEL_CHALLENGE, 1, []),
            (scripts.ANSWER_BY_SESSION, 1, [0, "browser", "attempt", "{}", 9]),
            (scripts.KEEP_IN_SESSION, 1, [0, "p:c", 9, "sealed", 8]),
            (scripts.ISSUE_CODE, 2, [9, "digest", 9]),
            (scripts.REDEEM_CODE, 3, [0, "attempt", "digest", "client", "", "", ""]),
            (scripts.RELEASE_CODE, 3, ["attempt"]),
            (scripts.OPEN_REFRESH, 1, ["{}", 99, 9]),
            (scripts.ROTATE_REFRESH, 1, [9, "attempt", 0]),
            (scripts.RELEASE_REFRESH, 1, ["attempt", 0]),
            (scripts.ACCEPT_STEP, 1, [9, "attempt", 9]),
            (scripts.RETIRE_AUTHENTICATOR, 1, [9, 9]),
            (scripts.SPEND_ATTEMPT, 1, [9, 9, 9, 0]),
            (scripts.BEGIN_GENERATION, 1, ["g", 9, "history", 0, 9]),
            (scripts.RAISE_FLOOR, 1, [9, "history", 9, 99]),
            (scripts.PLAN_MOVE, 1, ["history", 9]),
            (scripts.RENEW_GENERATION, 1, [9]),
            (scripts.SPEND_RECOVERY_CODE, 1, ["attempt", 9]),
            (scripts.CONSUME_TOKEN, 1, [9, "attempt", "jti"]),
            (scripts.REMEMBER_JTI, 1, ["attempt", 9]),
        ],
        ids=lambda value: value.name if isinstance(value, Script) else "",
    )
    async def test_what_a_newer_release_wrote_is_left_alone(
        self, opened, script: Script, count: int, args: list[Argument]
    ):
        names = [f"su:{{test.{an_attempt()}}}:{i}" for i in range(count)]
        held = {"v": 2, "uri": "uri", "state": "pending", "digest": "digest", "expires_at": 99}
        for name in names:
            parts = [part for field in held.items() for part in field]
            await opened.client.call("HSET", name, *parts)
            await opened.client.call("PEXPIRE", name, 60_000)
        before = [await opened.client.call("HGETALL", name) for name in names]

        with pytest.raises(NewerFormatError):
            await opened.client.spend(script, names, args)

        assert [await opened.client.call("HGETALL", name) for name in names] == before


@pytest.mark.redis
class TestAtRest:
    async def test_every_key_expires_but_what_waits_for_postgres(self, opened, clock):
        challenge = await a_whole_life(opened, clock)

        names = await all_keys(opened)
        kept = {name: await opened.client.call("PTTL", name) for name in names}

        assert keys.challenge(challenge.id) in names
        assert {name for name, ms in kept.items() if ms == -1} <= {keys.outbox(), keys.decisions()}
        retired = keys.RETIRED_KEPT / timedelta(milliseconds=1)
        longer = {name: ms for name, ms in kept.items() if ms > retired}
        marks = {name: longer.pop(name) for name in list(longer) if ":rc:" in name}
        assert longer.keys() <= {keys.snapshot(), keys.generation()}
        assert max(marks.values()) <= keys.RECOVERY_CODE_KEPT / timedelta(milliseconds=1)

    async def test_every_key_begins_alike_and_has_one_hash_tag(self, opened, clock):
        await a_whole_life(opened, clock)
        for name in await all_keys(opened):
            assert re.fullmatch(r"su:\{[a-z]+(\.[^{}]+)?\}(:[^{}]+)?|su:test:.*", name)

    async def test_records_outlive_what_they_guard(self, opened, clock):
        challenge = await a_whole_life(opened, clock)

        async def minutes(name: str) -> float:
            return await opened.client.call("PTTL", name) / 60_000

        assert 19 < await minutes(keys.challenge(challenge.id)) <= 20
        assert 19 < await minutes(keys.permits(challenge.id)) <= 20
        assert 19 < await minutes(keys.code(challenge.id)) <= 20
        assert 11.9 < await minutes(keys.once(challenge.id)) <= 12

    async def test_a_late_answer_keeps_the_challenge_as_long_as_its_code(self, opened, clock):
        challenge = a_challenge(now=clock.now())
        await opened.stores.challenges.open(challenge, None)
        await answer(opened.stores.challenges, challenge, clock)
        await opened.client.call("PEXPIRE", keys.challenge(challenge.id), 1000)
        await opened.stores.challenges.issue_code(challenge.id, b"code", clock.now())
        assert await opened.client.call("PTTL", keys.challenge(challenge.id)) > 600_000

    async def test_attack_a_code_that_expired_comes_to_life_again_when_its_page_is_reloaded(
        self, opened, clock
    ):
        # A challenge whose record outlived its code's would be given the same code once more.
        challenge = a_challenge(now=clock.now())
        store = opened.stores.challenges
        await store.open(challenge, None)
        await answer(store, challenge, clock)
        await store.issue_code(challenge.id, b"code", clock.now())

        of_code = await opened.client.call("PEXPIRETIME", keys.code(challenge.id))
        of_challenge = await opened.client.call("PEXPIRETIME", keys.challenge(challenge.id))
        assert of_code >= of_challenge

    async def test_no_secret_lies_open(self, opened, clock):
        await a_whole_life(opened, clock)
        dump = b""
        for name in await all_keys(opened):
            dump += await opened.client.call("DUMP", name) or b""
            if await opened.client.call("TYPE", name) == b"hash":
                dump += repr(await opened.client.call("HGETALL", name)).encode()
        for secret in (A_TOTP_SECRET.secret, b"form-secret", b"verifier-secret"):
            assert secret not in dump
            assert secret.hex().encode() not in dump

    async def test_another_key_opens_nothing(self, opened, redis_url, clock):
        challenge = a_challenge(now=clock.now())
        await opened.stores.challenges.open(challenge, None)
        stranger = Sealer({2: bytes(range(32))}, CountingEntropy().bytes)
        async with RedisState(redis_url, stranger, clock) as other:
            with pytest.raises(DependencyUnavailableError):
                await other.stores.challenges.find(challenge.id)

    async def test_a_secret_moved_to_another_challenge_does_not_open(self, opened, clock):
        victim, thief = a_challenge(now=clock.now()), a_challenge(now=clock.now())
        for challenge in (victim, thief):
            await opened.stores.challenges.open(challenge, None)
        stolen = await opened.client.call("HGET", keys.challenge(victim.id), "sealed")
        await opened.client.call("HSET", keys.challenge(thief.id), "sealed", stolen)
        with pytest.raises(DependencyUnavailableError):
            await opened.stores.challenges.find(thief.id)


async def changes_of(opened: RedisState) -> int:
    info = (await opened.client.call("INFO", "persistence")).decode()
    return int(re.search(r"rdb_changes_since_last_save:(\d+)", info)[1])


async def all_keys(opened: RedisState) -> set[str]:
    names: set[str] = set()
    cursor = b"0"
    while True:
        cursor, page = await opened.client.call("SCAN", cursor, "MATCH", "su:*", "COUNT", 1000)
        names |= {name.decode() for name in page}
        if cursor == b"0":
            return names


async def a_whole_life(opened: RedisState, clock: StillClock, repetitions: int = 1) -> Challenge:
    """Use every store, each attempt as often as it says."""
    challenge = a_challenge(now=clock.now())
    await opened.stores.challenges.open(challenge, b"uri-digest")
    for i in range(repetitions):
        await opened.stores.challenges.claim(challenge.id, b"uri-digest", b"browser")
        await opened.stores.challenges.begin_ceremony(challenge.id, CeremonyId(f"c{i}"), b"bytes")
    await begin_touch(opened.stores.challenges, challenge, clock, "c0")
    await answer_and_redeem(opened, challenge, clock, repetitions)
    cancelled = a_challenge(now=clock.now())
    await opened.stores.challenges.open(cancelled, None)
    for _ in range(repetitions):
        await opened.stores.challenges.cancel(cancelled.id)
    await use_a_session(opened, clock, repetitions)
    await use_account_pages(opened, clock)
    used = AuthenticatorUsed(authenticator_id=AuthenticatorId("a1"), at=clock.now())
    await opened.stores.outbox.append(used)
    await opened.stores.changes.announce()
    await opened.stores.revocations.beat()
    attempt = an_attempt()
    for _ in range(repetitions):
        await opened.stores.steps.retire(a_subject().id, AuthenticatorId("a2"))
        await opened.stores.recovery_codes.spend(
            a_subject().id, AuthenticatorId("a3"), attempt.encode(), attempt
        )
    await keep_copies(opened, clock)
    return challenge


async def use_a_session(opened: RedisState, clock: StillClock, repetitions: int) -> None:
    proof, challenge = a_proof(now=clock.now()), a_challenge(now=clock.now())
    await opened.stores.challenges.open(challenge, b"uri-digest")
    await opened.stores.challenges.claim(challenge.id, b"uri-digest", b"browser")
    for _ in range(repetitions):
        await opened.stores.sessions.add_proof(proof.challenge_id, proof)
        await opened.stores.statuses.give_place(
            PlaceWanted(1, TokenId("one"), (), [7], "fresh", clock.now())
        )
        await opened.stores.statuses.read(1, 0)
        await opened.stores.challenges.answer_by_session(
            challenge.id, b"browser", proof, clock.now()
        )


async def keep_copies(opened: RedisState, clock: StillClock) -> None:
    held = an_authenticator(A_TOTP_SECRET, subject=a_subject())
    await opened.stores.credentials.put(held.subject, [held], clock.now())
    await opened.stores.snapshots.put(a_configuration(1), clock.now())
    await opened.stores.snapshots.confirm(Confirmation(ISSUER, 1, clock.now()))


async def a_lost_generation(opened: RedisState, seen: Collection[str]) -> None:
    """Wait until the instance has noticed that its generation was gone, and raise a floor."""
    for _ in range(100):
        if "begin_generation" in seen:
            break
        await asyncio.sleep(0.05)
    generation = await current(opened.stores.generations)
    await opened.stores.generations.raise_floor(generation.begun_at)
    # Others use this server, and a floor is never lowered.
    await opened.client.call("DEL", keys.generation())


async def answer_and_redeem(
    opened: RedisState, challenge: Challenge, clock: StillClock, repetitions: int
) -> None:
    stores, now, attempt = opened.stores, clock.now(), an_attempt()
    subject_id = challenge.authorization.subject.id
    token_id = TokenId(f"{challenge.id}.{an_attempt()}")
    await stores.attempts.spend(subject_id, Method.TOTP, now)
    for _ in range(repetitions):
        permit = await stores.challenges.begin_answer(challenge.id, Method.TOTP, attempt, now)
        assert await stores.steps.accept(subject_id, AuthenticatorId("a1"), 7, attempt)
        await stores.challenges.finish_answer(permit, A_TOTP, verified=True, now=now)
    await stores.attempts.forgive(subject_id, Method.TOTP)
    await stores.attempts.spend(subject_id, Method.RECOVERY_CODE, now)
    for _ in range(repetitions):
        await stores.challenges.issue_code(challenge.id, b"code", now)
    await stores.challenges.redeem_code(a_presented_code(challenge, b"code"), attempt, now)
    await stores.challenges.release_code(challenge.id, attempt, now + timedelta(minutes=1))
    await until_unspent(stores.challenges, challenge)
    for _ in range(repetitions):
        await stores.challenges.redeem_code(a_presented_code(challenge, b"code"), attempt, now)
        await stores.tokens.consume(challenge.id, token_id, attempt, now)
    for _ in range(repetitions):
        await stores.refreshes.open(a_refresh_grant(now=now, challenge_id=challenge.id))
    await stores.refreshes.rotate(challenge.id, 0, attempt, now)
    await stores.refreshes.release(challenge.id, 0, attempt, now + timedelta(minutes=1))
    # It goes on behind the call.
    await asyncio.sleep(0.1)
    for _ in range(repetitions):
        await stores.refreshes.rotate(challenge.id, 0, attempt, now)
    a_revocation = Revocation.of_token(token_id, now + timedelta(minutes=2), now)
    for _ in range(repetitions):
        await stores.revocations.publish(a_revocation)
        await stores.replays.remember("ticket", attempt, attempt, now + timedelta(minutes=2))


async def use_account_pages(opened: RedisState, clock: StillClock) -> None:
    accounts, digest, now = opened.stores.accounts, an_attempt(), clock.now()
    session = AccountSession(
        identity=BaseIdentity(subject=a_subject()),
        form_token="form-secret",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    login = PendingLogin(
        issuer="https://idp.example", nonce="n", code_verifier="verifier-secret", return_to="/"
    )
    await accounts.put_session(digest, session)
    await accounts.add_login(digest, login)
    await accounts.add_elevation(digest, AN_ELEVATION)
    enrollment = PendingEnrollment(subject=a_subject(), totp=A_TOTP_SECRET)
    await accounts.add_enrollment(digest, enrollment)
    taken = an_attempt()
    await accounts.add_login(taken, login)
    assert await accounts.consume_login(taken) == login
