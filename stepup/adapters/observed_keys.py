"""Signing keys in figures: how each of them stands, and how old the active one is."""

from datetime import datetime

from stepup import telemetry
from stepup.domain.ids import KeyId
from stepup.domain.keyring import Keyring, KeyState


class ObservedKeys:
    """Shows the keys of this process; one that it sees no more is gone."""

    def __init__(self) -> None:
        self._seen: set[KeyId] = set()

    def __call__(self, keyring: Keyring, now: datetime) -> None:
        """Show how the keys stand now."""
        states = {key.id: key.state for key in keyring.keys}
        for kid in self._seen | states.keys():
            stands = states.get(kid, KeyState.GONE)
            for state in KeyState:
                telemetry.signing_key_state.labels(kid=kid, state=state).set(state is stands)
        self._seen |= states.keys()
        # A moment of the database beside a clock of ours: they may disagree by a little.
        age = max(0.0, (now - keyring.active.since).total_seconds()) if keyring.active.since else 0
        telemetry.signing_key_age_seconds.set(age)
