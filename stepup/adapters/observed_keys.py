"""Signing keys in figures: how each of them stands, and how old the active one of each ring is."""

from datetime import datetime

from stepup import telemetry
from stepup.domain.ids import KeyId
from stepup.domain.keyring import Keyring, KeyState, Ring, SigningKey


class ObservedKeys:
    """Shows the keys of this process; one that it sees no more is gone."""

    def __init__(self) -> None:
        self._seen: dict[KeyId, Ring] = {}
        self._aged: set[Ring] = set()

    def __call__(self, keyring: Keyring, now: datetime) -> None:
        """Show how the keys stand now."""
        states = {key.id: key.state for key in keyring.keys}
        self._seen |= {key.id: key.ring for key in keyring.keys}
        for kid, ring in self._seen.items():
            stands = states.get(kid, KeyState.GONE)
            for state in KeyState:
                telemetry.signing_key_state.labels(kid, *ring, state).set(state is stands)
        active = [key for key in keyring.keys if key.state is KeyState.ACTIVE]
        for key in active:
            telemetry.signing_key_age_seconds.labels(*key.ring).set(_age(key, now))
        # What has no active key any more is not old for ever.
        for ring in self._aged - {key.ring for key in active}:
            telemetry.signing_key_age_seconds.labels(*ring).set(0)
        self._aged = {key.ring for key in active}


def _age(key: SigningKey, now: datetime) -> float:
    # A moment of the database beside a clock of ours: they may disagree by a little.
    return 0.0 if key.since is None else max(0.0, (now - key.since).total_seconds())
