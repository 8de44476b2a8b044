"""Each script has a contract that it is held to by a real server, and says what it does."""

import pytest

from stepup.adapters.redis import scripts
from tests.contracts import (
    accounts,
    challenges,
    codes,
    decisions,
    generations,
    refreshes,
    revocations,
    sessions,
    shadow,
    snapshots,
    spending,
    statuses,
    streams,
)

# What runs a script, and so tests it; `test_redis_state.py` runs each contract on a real server.
CONTRACTS = {
    "accept_step": spending.StepStoreContract,
    "announce_change": streams.ChangesContract,
    "answer_by_session": challenges.ChallengeStoreContract,
    "append_entries": streams.OutboxContract,
    "append_records": decisions.DecisionLogContract,
    "beat_revocations": revocations.RevocationFeedContract,
    "begin_answer": challenges.ChallengeStoreContract,
    "begin_ceremony": challenges.ChallengeStoreContract,
    "begin_generation": generations.GenerationsContract,
    "cancel_challenge": challenges.ChallengeStoreContract,
    "claim_browser": challenges.ChallengeStoreContract,
    "confirm_snapshot": snapshots.SnapshotStoreContract,
    "consume_token": spending.TokenStoreContract,
    "count_shadow": shadow.ShadowLogContract,
    "finish_answer": challenges.ChallengeStoreContract,
    "forgive_attempts": spending.AttemptStoreContract,
    "issue_code": codes.CodeContract,
    "give_place": statuses.StatusStoreContract,
    "keep_in_session": sessions.SessionStoreContract,
    "keep_snapshot": snapshots.SnapshotStoreContract,
    "open_challenge": challenges.ChallengeStoreContract,
    "open_refresh": refreshes.RefreshStoreContract,
    "plan_move": generations.GenerationsContract,
    "raise_floor": generations.GenerationsContract,
    "read_confirmation": snapshots.SnapshotStoreContract,
    "read_hash": challenges.ChallengeStoreContract,
    "read_live_revocations": revocations.RevocationFeedContract,
    "read_marks": revocations.RevocationFeedContract,
    "read_places": statuses.StatusStoreContract,
    "read_revocations": revocations.RevocationFeedContract,
    "redeem_code": codes.CodeContract,
    "release_code": codes.CodeContract,
    "release_refresh": refreshes.RefreshStoreContract,
    "remember_jti": spending.ReplayStoreContract,
    "renew_generation": generations.GenerationsContract,
    "retire_authenticator": spending.StepStoreContract,
    "revoke_token": revocations.RevocationFeedContract,
    "rotate_refresh": refreshes.RefreshStoreContract,
    "spend_attempt": spending.AttemptStoreContract,
    "spend_recovery_code": spending.RecoveryCodeStoreContract,
    "take_once": accounts.AccountStoreContract,
}


def test_every_script_is_held_to_a_contract():
    assert {script.name for script in scripts.ALL} == set(CONTRACTS)


@pytest.mark.parametrize("script", scripts.ALL, ids=lambda script: script.name)
def test_says_what_it_takes_and_what_it_returns(script):
    lines = script.source.splitlines()
    assert lines[0].startswith("#!lua")
    header = [line for line in lines[1:] if line.startswith("--")]
    assert header[0].endswith(".")
    assert any("KEYS[1]" in line for line in header)
    assert any("returns" in line for line in header)


@pytest.mark.parametrize("script", scripts.ALL, ids=lambda script: script.name)
def test_does_one_thing_and_looks_at_no_clock(script):
    code = [
        line
        for line in script.source.splitlines()[1:]
        if line.strip() and not line.lstrip().startswith("--")
    ]
    assert len(code) <= 30
    assert not any("'TIME'" in line or '"TIME"' in line for line in code)


def test_what_ends_something_counts_only_from_the_primary():
    fenced = {kind: {s.name for s in scripts.ALL if s.fenced is kind} for kind in scripts.Fenced}
    assert fenced[scripts.Fenced.ALL] == {
        "accept_step",
        "answer_by_session",
        "begin_answer",
        "begin_generation",
        "cancel_challenge",
        "consume_token",
        "give_place",
        "read_places",
        "read_live_revocations",
        "read_revocations",
        "finish_answer",
        "raise_floor",
        "redeem_code",
        "release_code",
        "release_refresh",
        "rotate_refresh",
        "retire_authenticator",
        "revoke_token",
        "spend_recovery_code",
        "take_once",
    }
    assert fenced[scripts.Fenced.REFUSALS] == {"claim_browser", "issue_code", "open_challenge"}
