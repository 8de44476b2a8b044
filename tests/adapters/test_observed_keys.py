"""The figures of signing keys."""

from datetime import timedelta

import msgspec

from stepup.adapters.observed_keys import ObservedKeys
from stepup.crypto.keys import generate_signing_key
from stepup.domain.keyring import Keyring, KeyState
from stepup.telemetry import REGISTRY
from tests.support.determinism import NOON


def state_of(kid: str) -> str:
    """The one state that is shown."""
    [shown] = [
        state
        for state in KeyState
        if REGISTRY.get_sample_value("stepup_signing_key_state", {"kid": kid, "state": state})
    ]
    return shown


def test_every_key_shows_one_state_and_one_that_is_seen_no_more_is_gone():
    old = generate_signing_key(state=KeyState.RETIRING)
    active = msgspec.structs.replace(generate_signing_key(), since=NOON)
    observe = ObservedKeys()

    observe(Keyring(keys=(old, active), root=b""), NOON)
    assert (state_of(old.id), state_of(active.id)) == (KeyState.RETIRING, KeyState.ACTIVE)
    observe(Keyring(keys=(active,), root=b""), NOON + timedelta(hours=1))

    assert state_of(old.id) == KeyState.GONE
    assert REGISTRY.get_sample_value("stepup_signing_key_age_seconds") == 3600
